"""cond, switch, select and checkpoint stand in for JAX's in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp import ir
from tests.transforms.standin import Programs, same

X = jnp.array([0.3, 1.2, -0.7])
program = Programs()


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    """Each is a program of an array and of a number that chooses the branch."""

    def loss(x, s):
        leaves = jax.tree.leaves(program(x, s))
        return sum(jnp.sum(y**2) for y in leaves if y.dtype == X.dtype)

    def doors(ad):
        gradient = ad.grad(loss, (0, 1))

        @jax.jit
        def jitted(x, s):
            hvp = ad.jvp(gradient, (x, s), (X, s))
            return ad.jvp(program, (x, s), (jnp.ones(3), s + 1)), hvp

        choices = jnp.arange(3.0)
        return [jitted(X, s) for s in choices], [gradient(X, s) for s in choices]

    same(doors)


@program
def cond(x, s):
    return lax.cond(s > 0, lambda x: jnp.sin(x) * s, lambda x: x**2, x)


@program
def cond_of_nothing(x, s):
    return lax.cond(s > 0, lambda: x * s, lambda: jnp.zeros(3))


@program
def cond_with_keyword_and_several_operands(x, s):
    return lax.cond(s > 1, lambda a, b: a @ b, lambda a, b: b[0] * s, x, x**2)


@program
def cond_with_python_bool(x, s):
    return lax.cond(True, lambda x: x * s, lambda x: x, x)


@program
def switch(x, s):
    branches = [jnp.sin, lambda x: x * s, lambda x: jnp.ones(3), lambda x: x]
    return lax.switch(s.astype(int), branches, x)


@program
def switch_out_of_range(x, s):
    return lax.switch(s.astype(int) - 1, [jnp.sin, lambda x: x * s], x)


@program
def switch_with_one_branch(x, s):
    return lax.switch(s.astype(int), [lambda x: x * s], x)


@program
def branches_of_trees_and_integers(x, s):
    def first(p):
        return {"a": p["a"] * s, "n": jnp.arange(2), "same": p["a"]}

    def second(p):
        return {"a": p["a"].sum() + p["b"], "n": jnp.ones(2, int), "same": p["a"]}

    return lax.cond(s > 0, first, second, {"a": x, "b": x * x})


@program
def branches_that_share_residual_shapes(x, s):
    def first(x):
        return jnp.tanh(jnp.sin(x)) * jnp.exp(x)

    return lax.cond(s > 0, first, lambda x: jnp.tanh(x), x)


@program
def branch_within_branch(x, s):
    def outer(x):
        return lax.cond(s > 1, lambda x: jnp.sin(x) * x, lambda x: x * s, x)

    return lax.cond(s > 0, outer, lambda x: -x, x)


@program
def branch_under_vmap_of_the_choice(x, s):
    choose = lambda p, x: lax.cond(p > s, jnp.sin, lambda x: x**3, x)  # noqa: E731
    return jax.vmap(choose)(x, x)


@program
def branch_under_vmap_of_the_operand(x, s):
    return jax.vmap(lambda x: lax.cond(s > 0, jnp.sin, lambda x: x**3, x))(x)


@program
def branch_with_a_loop(x, s):
    def loop(x):
        return lax.scan(lambda c, x: (c * x, c), s, x)[1]

    return lax.cond(s > 0, loop, lambda x: x, x)


@program
def branch_in_python(x, s):
    return jnp.where(x > 0, x * s, jnp.sin(x)), jnp.select(
        [x > 1, x > 0], [x, s * x], 0.0
    )


@program
def platform_dependent(x, s):
    return lax.platform_dependent(x, cpu=lambda x: x * s, default=jnp.sin)


@program
def piecewise(x, s):
    return jnp.piecewise(x, [x < 0, x > 1], [jnp.sin, lambda x: x**2, 1.0]) * s


POLICIES = {
    "default": {},
    "nothing": {"policy": jax.checkpoint_policies.nothing_saveable},
    "everything": {"policy": jax.checkpoint_policies.everything_saveable},
    "dots": {"policy": jax.checkpoint_policies.dots_saveable},
    "named": {"policy": jax.checkpoint_policies.save_only_these_names("a")},
    "no_cse": {"prevent_cse": False},
}


@pytest.mark.parametrize("options", POLICIES.values(), ids=POLICIES)
def test_checkpoint(options):
    @functools.partial(jaxbp.checkpoint, **options)
    def f(x, w, n=2):
        from jax.ad_checkpoint import checkpoint_name

        y = checkpoint_name(jnp.sin(w @ x), "a")
        return jnp.sum(jnp.tanh(w @ y) ** n)

    w = jnp.outer(X, X) + 1

    def doors(ad):
        return (
            ad.value_and_grad(f, (0, 1))(X, w),
            ad.jvp(lambda x: f(x, w, 3), (X,), (X,)),
            jax.jit(ad.grad(f))(X, w),
            ad.jvp(ad.grad(f), (X, w), (X, w)),
            ad.grad(lambda x: jax.checkpoint(ad.grad(f))(x, w).sum())(X),
        )

    same(doors)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "jit"])
def test_a_policy_sees_the_program_alone(wrap):
    """Not the equations that a rule does itself: a loop's invariants, a product."""

    def f(x):
        wave = lambda c, a: (c * jnp.sin(2.0 * jnp.sin(x)), a)  # noqa: E731
        carry, _ = lax.scan(wave, x, x)
        return jnp.sum(carry * jnp.cumprod(x))

    same(lambda ad: ad.grad(jaxbp.checkpoint(wrap(f), **POLICIES["everything"]))(X))


def test_jax_around_a_checkpoint_moves_what_moves_alone():
    """What is held in a checkpoint gets no tangent: betainc has none by a and b."""
    a, b = jnp.array([1.3, 0.8]), jnp.array([0.7, 1.1])
    f = jax.checkpoint(lambda a, b, x: jnp.sum(lax.betainc(a, b, x)))

    def slope(ad):
        return jax.grad(lambda x: jnp.sum(ad.grad(f, 2)(a, b, x)))

    same(lambda ad: slope(ad)(X[:2] / 2))


def test_a_branch_moves_what_moves_alone():
    """A constant shares no place with what moves: polygamma has no tangent by m."""

    def f(i, x):
        two = lambda x: lax.polygamma(jnp.full_like(x, 2.0), 2 + lax.sin(x))  # noqa: E731
        return jnp.sum(lax.cond(i > 0, lambda x: lax.sin(lax.sin(x)), two, x))

    @functools.partial(jax.jit, static_argnums=1)
    def second(i, ad):
        gradient = functools.partial(ad.grad(f, 1), i)
        return ad.grad(lambda x: jnp.sum(gradient(x)))(X), ad.jvp(gradient, (X,), (X,))

    same(lambda ad: second(0, ad))


def test_checkpoint_with_static_arguments():
    f = jaxbp.checkpoint(lambda x, n: jnp.sum(jnp.sin(x) ** len(n)), static_argnums=1)
    same(lambda ad: ad.grad(f)(X, "abc"))


def test_checkpoint_of_integers():
    def f(x, n):
        return jnp.sum(x ** n.astype(float)), n + 1

    same(lambda ad: ad.grad(jax.checkpoint(f), has_aux=True)(X, jnp.int32(3)))
    zero = np.zeros((), jax.dtypes.float0)
    three = jnp.int64(3)
    same(lambda ad: ad.vjp(jax.checkpoint(f), X, three)[1]((1.0, zero)))


# In loops: branches that are cheap are run again going back --------------------------


def rare(x):
    W = jnp.sin(jnp.arange(64.0)).reshape(8, 8) * x[0]

    def step(c, t):
        dear = lambda c: jnp.tanh(jnp.sin(c @ W) @ W)  # noqa: E731
        c = lax.cond(t % 3 == 0, dear, lambda c: 1.1 * c, c)
        laws = [jnp.sin, jnp.exp, lambda c: c * c[::-1], lambda c: c]
        return lax.switch(t % 4, laws, c) * 0.5, jnp.sum(c)

    c, ys = lax.scan(step, x, jnp.arange(9))
    return jnp.sum(c**2) + jnp.sum(jnp.sin(ys))


@pytest.mark.parametrize("residuals", ["auto", "stack"])
def test_branches_in_a_loop(residuals):
    x = jnp.linspace(0.2, 0.9, 8)
    options = jaxbp.Options(scan_residuals=residuals)
    ours = jax.jit(jaxbp.grad(rare, options=options))
    np.testing.assert_allclose(ours(x), jax.grad(rare)(x), rtol=1e-11)
    _, product = jax.jvp(ours, (x,), (jnp.cos(x),))
    _, theirs = jax.jvp(jax.grad(rare), (x,), (jnp.cos(x),))
    np.testing.assert_allclose(product, theirs, rtol=1e-10)
    twice = jaxbp.grad(lambda x: jnp.sum(ours(x) ** 2))(x)
    known = jax.grad(lambda x: jnp.sum(jax.grad(rare)(x) ** 2))(x)
    np.testing.assert_allclose(twice, known, rtol=1e-10)
    batch = jnp.stack([x, 1 - x])
    np.testing.assert_allclose(
        jax.vmap(ours)(batch), jax.vmap(jax.grad(rare))(batch), rtol=1e-11
    )


def test_branches_run_again_keep_their_operands_alone():
    x = jnp.linspace(0.2, 0.9, 8)

    def kept(residuals):
        options = jaxbp.Options(scan_residuals=residuals)
        _, pullback = jaxbp.vjp(rare, x, options=options)
        return sum(leaf.nbytes for leaf in jax.tree.leaves(pullback))

    assert kept("auto") < 0.7 * kept("stack")


def test_what_is_not_taken_adds_nothing():
    """The weights' cotangent goes through the branches, and is not added to."""
    W = jnp.eye(40)

    def f(W, x):
        def step(c, t):
            return lax.cond(t == 2, lambda c: jnp.tanh(c @ W), lambda c: c, c), None

        return jnp.sum(lax.scan(step, x, jnp.arange(5))[0] ** 2)

    program = jax.make_jaxpr(jaxbp.grad(f))(W, jnp.ones(40))
    (back,) = [
        e for e in program.eqns if e.primitive.name == "scan" and e.params["reverse"]
    ]
    body, _ = ir.inner(back.params["jaxpr"])
    adds = [e for e in body.eqns if e.primitive.name in ("add", "add_any")]
    assert all(e.outvars[0].aval.size < W.size for e in adds)
