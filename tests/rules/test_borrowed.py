"""Primitives with rules of JAX's alone: borrowed, and refused on request."""

import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

import jaxbp
from jaxbp.errors import InvalidArgument, MissingRule
from tests.transforms.standin import same_values

X, W = jnp.arange(1.0, 4.0), jnp.array([0.5, -1.0, 2.0])


def primitive(name, function, multiple_results=False):
    """A primitive as a package defines it: shapes, lowering, batches."""
    made = Primitive(name)
    made.multiple_results = multiple_results
    made.def_impl(function)
    made.def_abstract_eval(lambda *xs: xs[:2] if multiple_results else xs[0])
    mlir.register_lowering(made, mlir.lower_fun(function, multiple_results))
    axes = lambda a: [a, a] if multiple_results else a  # noqa: E731
    batching.primitive_batchers[made] = lambda xs, dims: (
        made.bind(*[jnp.moveaxis(x, d, 0) for x, d in zip(xs, dims, strict=True)]),
        axes(0),
    )
    return made


swap_p = primitive("swap", lambda x, y: [2 * y, x], multiple_results=True)
ad.primitive_jvps[swap_p] = lambda xs, x_dots: (
    swap_p.bind(*xs),
    swap_p.bind(*map(ad.instantiate_zeros, x_dots)),
)


def swap_transpose(y_bars, *_):
    first, second = map(ad.instantiate_zeros, y_bars)
    return [second, 2 * first]


ad.primitive_transposes[swap_p] = swap_transpose

halve_p = primitive("halve", lambda x: x / 2)
ad.deflinear2(halve_p, lambda y_bar, _: [halve_p.bind(y_bar)])

square_p = primitive("square_of_a_package", lambda x: x * x)
ad.defjvp(square_p, lambda x_dot, x: 4 * halve_p.bind(x_dot) * x)


def loss(x, w):
    a, b = swap_p.bind(square_p.bind(x), jnp.sin(w))
    return jnp.sum(a * halve_p.bind(b) * x)


def products(ad_):
    """The gradient, a pushforward, and second derivatives in both nestings."""
    both = (0, 1)
    return (
        ad_.grad(loss, both)(X, W),
        ad_.jvp(loss, (X, W), (W, X)),
        ad_.linearize(loss, X, W)[1](W, X),
        jax.jit(ad_.hessian(loss, both))(X, W),
        jax.jit(ad_.grad(lambda x: jnp.sum(ad_.grad(loss)(x, W) * W)))(X),
    )


def test_borrowed_in_both_modes():
    same_values(products(jaxbp), products(jax))


@pytest.mark.parametrize("made", [square_p, halve_p], ids=str)
def test_refused_where_options_say_so(made):
    refused = jaxbp.Options(foreign_rules=None)
    f = jaxbp.grad(lambda x: jnp.sum(made.bind(x)), options=refused)
    with pytest.raises(MissingRule, match=f"`{made.name}`.*foreign"):
        f(X)
    with jaxbp.foreign(None), pytest.raises(MissingRule, match=made.name):
        jaxbp.grad(lambda x: jnp.sum(made.bind(x)))(X)


def test_unknown_to_jax_too():
    lonely_p = primitive("lonely", lambda x: x)
    with pytest.raises(MissingRule, match="`lonely`.*JAX has no rule") as caught:
        jaxbp.grad(lambda x: jnp.sum(lonely_p.bind(x)))(X)
    assert "foreign" not in str(caught.value)
    assert "test_borrowed.py:" in str(caught.value)


def test_a_pullback_used_elsewhere_has_its_rules():
    def f(x):
        return jnp.sin(square_p.bind(x))

    with jaxbp.foreign("jax"):
        _, pullback = jaxbp.vjp(jax.checkpoint(f), X)
    with jaxbp.foreign(None):
        (x_bar,) = pullback(jnp.ones(3))
    same_values(x_bar, 2 * X * jnp.cos(X * X))


def test_programs_say_what_they_borrowed():
    _, pushforward = jaxbp.linearize(lambda x: jnp.sin(square_p.bind(x)), X)
    assert "JAX's own rules: square_of_a_package" in repr(pushforward.program)


def test_nothing_is_borrowed_that_jax_has_not():
    """The error does not send its reader to a rule that does not exist."""
    made = primitive("ruleless", lambda x: x)
    with pytest.raises(MissingRule, match="JAX has no rule") as found:
        jaxbp.grad(lambda x: jnp.sum(made.bind(x)))(X)
    assert "foreign" not in str(found.value)


def outside(function):
    def call(x):
        return jax.pure_callback(function, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    return call


def test_a_callback_with_a_rule_is_not_told_to_get_one():
    sine, cosine = outside(jnp.sin), outside(jnp.cos)
    ruled = jax.custom_jvp(sine)
    ruled.defjvp(lambda xs, x_dots: (ruled(*xs), cosine(*xs) * x_dots[0]))
    with pytest.raises(MissingRule, match="differentiated once more"):
        jaxbp.grad(jaxbp.grad(ruled))(1.0)
    handed = jax.custom_jvp(sine)
    handed.defjvp(lambda xs, x_dots: (handed(*xs), sine(*x_dots)))
    with pytest.raises(MissingRule, match="hands it a tangent"):
        jaxbp.grad(handed)(1.0)


def test_only_of_jax():
    with pytest.raises(InvalidArgument, match='`foreign_rules` must be "jax" or None'):
        jaxbp.foreign("torch")


def test_check_and_coverage_name_what_was_borrowed():
    report = jaxbp.check(lambda x: jnp.sum(square_p.bind(x)), X, points=1)
    assert report.verdict == "agree"
    (note,) = [n for n in report.notes if "borrowed" in n]
    assert "`square_of_a_package`" in note
    (row,) = jaxbp.coverage().matching("square_of_a_package").rows
    assert (row.status, row.forward) == ("borrowed", "JAX's")
