"""custom_jvp in all its options, in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_derivatives import SymbolicZero

import jaxbp
from jaxbp.errors import NonlinearTangent
from tests.transforms.standin import Programs, refused, same

program = Programs()
X = jnp.array([0.3, 1.2])


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    same(program)


def both_modes(ad, f, *args):
    """All doors at one function: values, first and second order, jit and vmap."""
    y, pullback = ad.vjp(f, *args)
    tangents = jax.tree.map(jnp.ones_like, args)
    lin = ad.linearize(f, *args)[1](*tangents)
    return y, pullback(y), ad.jvp(f, args, tangents), lin, reverse(ad, f, *args)


def reverse(ad, f, *args):
    def loss(*args):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(f(*args)))

    places = tuple(range(len(args)))
    gradient = ad.grad(loss, places)

    def norm(*args):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient(*args)))

    return (
        ad.vjp(f, *args)[1](f(*args)),
        gradient(*args),
        jax.jit(gradient)(*args),
        ad.grad(norm, places)(*args),
        jax.grad(norm, places)(*args),
        ad.grad(jax.jit(loss), places)(*args),
        ad.grad(jax.checkpoint(loss), places)(*args),
    )


# custom_jvp ---------------------------------------------------------------------


def _marked(rule=None, **options):
    """x, y -> sin(x) y with a rule that is recognisable: twice the derivative."""

    @functools.partial(jax.custom_jvp, **options)
    def f(x, y):
        return jnp.sin(x) * y

    @f.defjvp
    def jvp(primals, tangents):
        (x, y), (x_dot, y_dot) = primals, tangents
        return f(x, y), 2 * (jnp.cos(x) * y * x_dot + jnp.sin(x) * y_dot)

    return f


@program
def jvp_rule(ad):
    return both_modes(ad, _marked(), X, 2 * X)


@program
def jvp_rule_with_one_active_argument(ad):
    f = _marked()
    return ad.grad(lambda x: f(x, X).sum())(X), ad.jvp(lambda y: f(X, y), (X,), (X,))


@program
def jvp_rule_without_active_arguments(ad):
    f = _marked()
    return ad.grad(lambda x: (f(X, X) * x).sum())(X)


@program
def jvp_rule_under_vmap_and_scan(ad):
    f = _marked()

    def loss(x):
        ys = jax.vmap(f, (0, None))(x, x[0])
        c, zs = jax.lax.scan(lambda c, x: (f(c, x), c), x[0], x)
        return ys.sum() * c + zs.sum()

    return ad.grad(loss)(X), jax.vmap(ad.grad(lambda x: f(x, x)))(X)


@program
def jvp_rule_with_nondiff_argnums(ad):
    @functools.partial(jax.custom_jvp, nondiff_argnums=(0, 2))
    def f(g, x, n):
        return g(x) ** n

    @f.defjvp
    def jvp(g, n, primals, tangents):
        (x,), (x_dot,) = primals, tangents
        return f(g, x, n), 3 * g(x) ** (n - 1) * x_dot

    return both_modes(ad, lambda x: f(jnp.sin, x, 3), X)


@program
def defjvps(ad):
    @jax.custom_jvp
    def f(x, y, z):
        return x * y * z

    f.defjvps(lambda d, out, x, y, z: 5 * d * y * z, None, lambda d, out, *_: d * out)
    return both_modes(ad, f, X, X, X)


@program
def jvp_rule_with_symbolic_zeros(ad):
    seen = []

    @jax.custom_jvp
    def f(x, y):
        return x * y, x

    def jvp(primals, tangents):
        (x, y), (x_dot, y_dot) = primals, tangents
        seen.append([type(t) is SymbolicZero for t in tangents])
        out_dot = 0.0
        if type(x_dot) is not SymbolicZero:
            out_dot = out_dot + 3 * x_dot * y
        if type(y_dot) is not SymbolicZero:
            out_dot = out_dot + x * y_dot
        return f(x, y), (out_dot, x_dot)

    f.defjvp(jvp, symbolic_zeros=True)
    found = (
        ad.jvp(lambda x: f(x, X), (X,), (X,)),
        ad.vjp(lambda x: f(x, X), X)[1]((X, X)),
        ad.jvp(f, (X, X), (X, X)),
    )
    return found, seen


@program
def jvp_rule_of_pytrees(ad):
    @jax.custom_jvp
    def f(p):
        return {"sum": p["a"] + p["b"][0], "n": jnp.arange(2)}

    @f.defjvp
    def jvp(primals, tangents):
        (p,), (p_dot,) = primals, tangents
        y = f(p)
        y_dot = {
            "sum": 2 * p_dot["a"] + 3 * p_dot["b"][0],
            "n": np.zeros(2, jax.dtypes.float0),
        }
        return y, y_dot

    return ad.grad(lambda p: f(p)["sum"].sum())({"a": X, "b": (X, None)})


@program
def jvp_rule_by_keywords_and_defaults(ad):
    @jax.custom_jvp
    def f(x, y=2.0):
        return x * y

    f.defjvps(lambda x_dot, out, x, y: 7 * x_dot, None)
    return ad.grad(lambda x: f(x) + f(y=3.0, x=x))(1.0)


@program
def jvp_rule_with_integer_argument(ad):
    @jax.custom_jvp
    def f(x, n):
        return x**n

    @f.defjvp
    def jvp(primals, tangents):
        (x, n), (x_dot, _) = primals, tangents
        return f(x, n), 2 * n * x ** (n - 1) * x_dot

    return ad.grad(f)(2.0, 3), ad.jvp(lambda x: f(x, 2), (2.0,), (1.0,))


@program
def jvp_rule_that_calls_the_doors(ad):
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def jvp(primals, tangents):
        return ad.jvp(lambda x: x**3, primals, tangents)

    return ad.grad(f)(2.0), ad.grad(ad.grad(f))(2.0), jax.jit(ad.grad(f))(2.0)


@program
def jvp_rule_with_control_flow_on_primals(ad):
    @jax.custom_jvp
    def f(x):
        return jnp.abs(x)

    @f.defjvp
    def jvp(primals, tangents):
        (x,), (x_dot,) = primals, tangents
        return f(x), x_dot if x > 0 else -2 * x_dot

    return ad.grad(f)(2.0), ad.grad(f)(-2.0), ad.jvp(f, (-1.0,), (1.0,))


@program
def wrong_jvp_rules(ad):
    errors = []
    for rule in (
        lambda p, t: (p[0],),
        lambda p, t: p[0],
        lambda p, t: (p[0], (t[0], t[0])),
        lambda p, t: (p[0], t[0][:1]),
        lambda p, t: (p[0], t[0].astype("float32")),
        lambda p, t: ((p[0], p[0]), t[0]),
        lambda p, t: (p[0], None),
    ):
        f = jax.custom_jvp(lambda x: x)
        f.defjvp(rule)
        try:
            ad.grad(lambda x, f=f: f(x).sum())(X)
        except TypeError as error:
            errors.append(type(error) is TypeError)
    return errors


def test_no_rule():
    for custom in (jax.custom_jvp, jax.custom_vjp):
        refused(lambda ad, custom=custom: ad.grad(custom(lambda x: x))(1.0))


def test_tangent_that_is_not_linear():
    f = jax.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (p[0], t[0] * t[0]))
    with pytest.raises(NonlinearTangent, match="must be linear in its tangents"):
        jaxbp.grad(f)(1.0)


def test_control_flow_on_tangents():
    f = jax.custom_jvp(lambda x: x)
    f.defjvp(lambda p, t: (p[0], t[0] if t[0] > 0 else 2 * t[0]))
    with pytest.raises(jax.errors.ConcretizationTypeError):
        jaxbp.grad(f)(1.0)
    assert jaxbp.jvp(f, (1.0,), (-1.0,))[1] == -2
