"""custom_jvp and custom_vjp in all their options, in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.custom_derivatives import SymbolicZero

import jaxbp
from jaxbp.errors import InvalidArgument, NonlinearTangent
from tests.modes.standin import Programs, refused, same, same_values

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


# custom_vjp ---------------------------------------------------------------------


def _reversed(fwd=None, bwd=None, **options):
    """x, y -> sin(x) y with a backward rule that is recognisable: twice as large."""

    @jax.custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    def forward(x, y):
        return f(x, y), (x, y, 2.0)

    def backward(residuals, z_bar):
        x, y, two = residuals
        return two * jnp.cos(x) * y * z_bar, two * jnp.sin(x) * z_bar

    f.defvjp(fwd or forward, bwd or backward, **options)
    return f


@program
def vjp_rule(ad):
    return reverse(ad, _reversed(), X, 2 * X)


@program
def vjp_rule_with_one_active_argument(ad):
    f = _reversed()
    return ad.grad(lambda x: f(x, X).sum())(X), ad.grad(lambda y: f(X, y).sum())(X)


@program
def vjp_rule_without_active_arguments(ad):
    f = _reversed()
    return ad.grad(lambda x: (f(X, X) * x).sum())(X), ad.jvp(
        lambda x: f(X, X) * x, (X,), (X,)
    )


@program
def vjp_rule_under_vmap_and_scan(ad):
    f = _reversed()

    def loss(x):
        ys = jax.vmap(f, (0, None))(x, x[0])
        c, zs = jax.lax.scan(lambda c, x: (f(c, x), c), x[0], x)
        return ys.sum() * c + zs.sum()

    return ad.grad(loss)(X), jax.vmap(ad.grad(lambda x: f(x, x)))(X)


@program
def vjp_rule_in_branches_and_loops(ad):
    f = _reversed()

    def loss(x):
        y = jax.lax.cond(x[0] < 1, lambda x: f(x, x), jnp.sin, x)
        return jax.lax.fori_loop(0, 3, lambda i, y: f(y, x), y).sum()

    return ad.grad(loss)(X), jax.jit(ad.grad(loss))(X)


@program
def vjp_rule_with_nondiff_argnums(ad):
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0, 2))
    def f(g, x, n):
        return g(x) ** n

    def backward(g, n, residuals, y_bar):
        (x,) = residuals
        return (3 * g(x) ** (n - 1) * y_bar,)

    f.defvjp(lambda g, x, n: (f(g, x, n), (x,)), backward)
    return reverse(ad, lambda x: f(jnp.sin, x, 3), X)


@program
def vjp_rule_with_symbolic_zeros(ad):
    seen = []

    @jax.custom_vjp
    def f(x, y):
        return x * y, x

    def forward(x, y):
        seen.append((x.perturbed, y.perturbed))
        return (x.value * y.value, x.value), (x.value, y.value)

    def backward(residuals, bars):
        (x, y), (z_bar, w_bar) = residuals, bars
        seen.append([type(b) is SymbolicZero for b in bars])
        x_bar = 2 * z_bar * y
        if type(w_bar) is not SymbolicZero:
            x_bar = x_bar + w_bar
        return x_bar, z_bar * x

    f.defvjp(forward, backward, symbolic_zeros=True)
    return ad.grad(lambda x: f(x, X)[0].sum())(X), ad.vjp(f, X, X)[1]((X, X)), seen


@program
def vjp_rule_with_optimized_remat(ad):
    f = _reversed(optimize_remat=True)

    def loss(x):
        return jnp.sum(f(x, 2 * x) ** 2)

    wrapped = loss, jax.jit(loss), jax.checkpoint(loss), jax.checkpoint(jax.jit(loss))
    return [ad.grad(g)(X) for g in wrapped]


def test_second_order_of_optimized_remat():
    """JAX refuses it."""
    plain, optimized = _reversed(), _reversed(optimize_remat=True)

    def gradient(f, x):
        return jaxbp.grad(lambda x: jnp.sum(f(x, 2 * x) ** 2))(x)

    for ad in (jaxbp.jacfwd, jaxbp.jacrev):
        came = ad(functools.partial(gradient, optimized))(X)
        same_values(came, ad(functools.partial(gradient, plain))(X))


@program
def vjp_rule_that_gives_none(ad):
    f = _reversed(bwd=lambda residuals, z_bar: (None, 3 * z_bar))
    return reverse(ad, f, X, 2 * X)


@program
def vjp_rule_of_pytrees(ad):
    @jax.custom_vjp
    def f(p, n):
        return [p["a"] * n, p["b"][0] ** 2], n + 1

    def backward(residuals, bars):
        p, n = residuals
        (a_bar, b_bar), _ = bars
        return {"a": a_bar * 5, "b": (b_bar * p["b"][0], None)}, None

    f.defvjp(lambda p, n: (f(p, n), (p, n)), backward)
    p = {"a": X, "b": (X, None)}
    return ad.grad(lambda p: sum(y.sum() for y in f(p, 3)[0]))(p)


@program
def vjp_rule_with_none_for_a_pytree(ad):
    @jax.custom_vjp
    def f(p, x):
        return p["a"] * x

    f.defvjp(lambda p, x: (f(p, x), p), lambda p, y_bar: (None, y_bar * p["a"] * 2))
    return ad.grad(lambda p, x: f(p, x).sum(), (0, 1))({"a": X, "b": X}, X)


@program
def vjp_rule_with_integer_argument_and_residuals(ad):
    @jax.custom_vjp
    def f(x, n):
        return x * n

    def backward(residuals, y_bar):
        n, text = residuals
        zero = np.zeros(np.shape(n), jax.dtypes.float0)
        return 2 * n * y_bar, zero

    f.defvjp(lambda x, n: (x * n, (n, None)), backward)
    return ad.grad(f)(2.0, 3), ad.vjp(f, 2.0, 3)[1](1.0)


@program
def vjp_rule_with_residuals_by_closure(ad):
    def outer(x):
        @jax.custom_vjp
        def f(y):
            return x * y

        f.defvjp(lambda y: (x * y, None), lambda _, y_bar: (3 * y_bar,))
        return f(2.0) * x

    return ad.grad(lambda x: jax.lax.stop_gradient(outer(1.0)) * x)(3.0)


@program
def vjp_rule_that_is_not_linear(ad):
    @jax.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, bar: (jnp.clip(bar, -1.0, 1.0),))
    return ad.grad(lambda x: jnp.sum(clipped(x) ** 2))(jnp.array([0.1, 9.0]))


@program
def vjp_rule_with_control_flow(ad):
    @jax.custom_vjp
    def f(x):
        return jnp.abs(x)

    f.defvjp(lambda x: (abs(x), x > 0), lambda up, b: (b if up else -2 * b,))
    return ad.grad(f)(2.0), ad.grad(f)(-2.0)


@program
def vjp_rules_within_vjp_rules(ad):
    inner = _reversed()

    @jax.custom_vjp
    def f(x):
        return inner(x, x)

    def forward(x):
        y, pullback = ad.vjp(lambda x: inner(x, x), x)
        return y, pullback

    f.defvjp(forward, lambda pullback, y_bar: (3 * pullback(y_bar)[0],))
    return reverse(ad, f, X)


@program
def vjp_rule_by_keywords(ad):
    f = _reversed()
    return ad.grad(lambda x: f(y=x, x=2 * x).sum())(X)


@program
def fixed_point(ad):
    @jax.custom_vjp
    def solve(a, x):
        return jax.lax.while_loop(
            lambda pair: jnp.abs(pair[0] - pair[1]) > 1e-14,
            lambda pair: (pair[1], 0.5 * (pair[1] + a / pair[1])),
            (x, x + 1),
        )[1]

    def backward(residuals, x_bar):
        a, x = residuals
        step = lambda a, x: 0.5 * (x + a / x)  # noqa: E731
        _, pullback = ad.vjp(step, a, x)
        u = x_bar / (1 - ad.grad(step, 1)(a, x))
        return pullback(u)[0], jnp.zeros_like(x)

    def forward(a, x):
        y = solve(a, x)
        return y, (a, y)

    solve.defvjp(forward, backward)
    return ad.grad(solve)(2.0, 1.0), ad.grad(ad.grad(solve))(2.0, 1.0)


@program
def wrong_vjp_rules(ad):
    errors = []
    for backward in (
        lambda r, b: b,
        lambda r, b: (b,),
        lambda r, b: (b, b, b),
        lambda r, b: (b[:1], b),
        lambda r, b: (b.astype("float32"), b),
        lambda r, b: (b, {"a": b}),
    ):
        f = _reversed(bwd=backward)
        try:
            found = ad.grad(lambda x, f=f: f(x, x).sum())(X)
        except (TypeError, ValueError) as error:
            found = type(error).__mro__[-3].__name__
        errors.append(found)
    return errors


@program
def wrong_forward_rules(ad):
    errors = []
    for forward in (lambda x, y: x, lambda x, y: ((x, y), None), lambda x: (x, None)):
        f = _reversed(fwd=forward)
        try:
            ad.vjp(f, X, X)
        except TypeError as error:
            errors.append(str(error)[:40])
    return errors


@program
def gradient_reversal(ad):
    @jax.custom_gradient
    def f(x):
        return x**2, lambda bar: -bar * x

    @jax.custom_gradient
    def g(x, y):
        z = x * y
        return (z, x), lambda bars: (bars[0] * y * 2, bars[1] + z)

    return reverse(ad, f, X), reverse(ad, g, X, X)


@program
def closure_converted(ad):
    def loss(x, w):
        def inner(y):
            return jnp.sin(x) * y * w

        converted, consts = jax.closure_convert(inner, x)
        return jnp.sum(converted(x * 2, *consts)), len(consts)

    return ad.grad(loss, (0, 1), has_aux=True)(X, 2 * X)


@program
def closure_converted_in_a_vjp_rule(ad):
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def apply(f, x, *consts):
        return f(x, *consts)

    def backward(f, residuals, y_bar):
        _, pullback = ad.vjp(f, *residuals)
        return tuple(2 * x_bar for x_bar in pullback(y_bar))

    apply.defvjp(lambda f, x, *c: (f(x, *c), (x, *c)), backward)

    def loss(w):
        converted, consts = jax.closure_convert(lambda x: jnp.sin(x * w), 2.0)
        return apply(converted, 2.0, *consts)

    return ad.grad(loss)(3.0), ad.grad(ad.grad(loss))(3.0)


# Newer options --------------------------------------------------------------------


@program
def vjp_rule_with_logs(ad):
    if not hasattr(jax.custom_vjp, "defvjp_with_logs"):
        return None
    f = jax.custom_vjp(lambda x: x**2)
    f.defvjp_with_logs(lambda x: (x**2, x), lambda x, b: ((5 * x * b,), {"bar": b}))
    return reverse(ad, f, X)


@program
def vjp_rule_with_accumulators(ad):
    if not hasattr(jax.custom_vjp, "defvjp_with_accums"):
        return None
    f = jax.custom_vjp(lambda x, y: x**2 * y)

    def backward(x, bar, x_accumulator, y_accumulator):
        x_accumulator.accum(5 * x * bar)
        x_accumulator.accum(x * bar)

    f.defvjp_with_accums(lambda x, y: (f(x, y), x), backward)
    return ad.grad(lambda x, y: f(x, y).sum(), (0, 1))(X, X)


# Forward mode through custom_vjp --------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.checkpoint])
def test_pushforward_is_the_transposed_pullback(wrap):
    f = wrap(_reversed())
    _, y_dot = jaxbp.jvp(f, (X, 2 * X), (X, jnp.ones(2)))
    expected = 2 * (jnp.cos(X) * 2 * X * X + jnp.sin(X))
    same_values(y_dot, expected)
    same_values(jax.jit(jaxbp.linearize(f, X, 2 * X)[1])(X, jnp.ones(2)), expected)
    columns, rows = jaxbp.jacfwd(f)(X, X), jaxbp.jacrev(f)(X, X)
    same_values(columns, rows)


def test_forward_over_reverse_of_custom_vjp():
    f = _reversed()

    def loss(x):
        return jnp.sum(f(x, x) ** 2)

    same_values(jaxbp.hessian(loss)(X), jax.jacrev(jax.jacrev(loss))(X))
    same_values(
        jaxbp.jacfwd(jaxbp.jacfwd(loss))(X), jaxbp.jacfwd(jaxbp.jacrev(loss))(X)
    )


def test_forward_mode_with_zeros_and_none():
    f = _reversed(bwd=lambda residuals, z_bar: (None, 3 * z_bar))
    same_values(jaxbp.jvp(f, (X, X), (X, X))[1], 3 * X)
    same_values(jaxbp.jvp(lambda x: f(x, X), (X,), (X,))[1], 0 * X)


def test_forward_mode_where_the_rule_is_not_linear():
    f = jax.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, bar: (jnp.clip(bar, -1.0, 1.0),))
    with pytest.raises(NonlinearTangent, match="derivative rule must be linear"):
        jaxbp.jvp(f, (1.0,), (1.0,))


def test_strict_refuses_forward_mode_as_jax_does():
    f = _reversed()
    for function in (f, jax.jit(f), lambda x, y: jax.vmap(f)(x, y)):
        jaxbp.jvp(function, (X, X), (X, X))  # allowed, and cached where it is jitted
        with pytest.raises(TypeError):
            jax.jvp(function, (X, X), (X, X))
        with jaxbp.strict_custom_vjp():
            with pytest.raises(InvalidArgument, match="forward-mode.*custom_vjp"):
                jaxbp.jvp(function, (X, X), (X, X))
            with pytest.raises(TypeError, match="strict_custom_vjp"):
                jaxbp.linearize(function, X, X)[1](X, X)
            same_values(
                jaxbp.grad(lambda x: f(x, x).sum())(X),
                2 * jax.grad(lambda x: (jnp.sin(x) * x).sum())(X),
            )
    assert jaxbp.jvp(f, (X, X), (X, X))


def test_a_rule_that_calls_its_own_function_is_the_same_in_a_scan():
    """To second order, where JAX's scan follows the plain function instead."""
    f = jax.custom_jvp(lambda x: x)
    f.defjvp(lambda primals, tangents: (f(*primals), primals[0] * tangents[0]))

    def scanned(x):
        return lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0]

    def second(run):
        return jaxbp.grad(jaxbp.grad(run))(0.7)

    # (f o f)' = f(x) x, and the derivative of that, f' being x by the rule: x + x^2.
    assert second(scanned) == second(lambda x: f(f(x))) == pytest.approx(0.7 + 0.7**2)


def test_a_rule_may_branch_on_a_residual_that_is_no_array():
    """Also where the function is compiled on its own within an eager gradient."""

    @jax.custom_vjp
    def double(x):
        return 2 * x

    def fwd(x):
        return double(x), (True, 2.0)

    def bwd(residuals, y_bar):
        doubles, factor = residuals
        return (factor * y_bar if doubles else y_bar,)

    double.defvjp(fwd, bwd)
    for f in (double, jax.jit(double)):
        same(lambda ad, f=f: ad.grad(f)(3.0))
