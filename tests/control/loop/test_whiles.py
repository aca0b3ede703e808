"""Reverse mode through loops of unknown length: values, any order, any trip count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.control.loop import starts
from jaxbp.errors import InvalidArgument, NoTranspose
from tests.control.loop.loop_programs import PROGRAMS, bounded


@pytest.fixture(autouse=True)
def compile_quickly(compile_quickly):
    jax.config.update("jax_disable_most_optimizations", True)


def close(ours, theirs, rtol=1e-9):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol, 1e-9)


def differentiated(name):
    f, point = PROGRAMS[name]
    point = tuple(map(jnp.asarray, point))
    argnums = tuple(range(len(point)))
    ours = jaxbp.grad(lambda *xs: f(lax.while_loop, *xs), argnums)
    theirs = jax.grad(lambda *xs: f(bounded, *xs), argnums)
    return ours, theirs, point, jax.tree.map(jnp.ones_like, point)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_gradient_and_forward_over_it_agree_with_a_bounded_form(name):
    ours, theirs, point, way = differentiated(name)
    found = jax.jit(lambda *xs: jaxbp.jvp(ours, xs, way))(*point)
    close(found, jax.jit(lambda *xs: jax.jvp(theirs, xs, way))(*point))


SHORT = "newton_square_root ray_marching fills_a_buffer complex_carry a_vmapped_while"


@pytest.mark.parametrize("name", SHORT.split())
def test_reverse_over_reverse_agrees_with_a_bounded_form(name):
    ours, theirs, point, way = differentiated(name)
    found = jax.jit(lambda *xs: jaxbp.vjp(ours, *xs)[1](way))(*point)
    close(found, jax.jit(lambda *xs: jax.jvp(theirs, xs, way)[1])(*point))


def recurrence(x, w, trips):
    def step(state):
        i, c = state
        return i + 1, jnp.sin(c) * w + 0.1 * i / (1 + i)

    return lax.while_loop(lambda s: s[0] < trips, step, (0, x))[1]


def by_hand(x, w, trips):
    """Value and both slopes, in numpy."""
    states = [x]
    for i in range(trips):
        states.append(np.sin(states[-1]) * w + 0.1 * i / (1 + i))
    x_bar, w_bar = 1.0, 0.0
    for c in reversed(states[:-1]):
        w_bar += x_bar * np.sin(c)
        x_bar *= w * np.cos(c)
    return x_bar, w_bar


def test_any_number_of_trips_in_blocks_and_slots_of_any_size():
    point = jnp.float64(0.9), jnp.float64(1.1)
    for budget in (0, 150, 2000):  # blocks of 1, 3, 57 steps; 4, 4, 16 slots

        def gradient(trips, budget=budget):
            f = lambda x, w: recurrence(x, w, trips)  # noqa: E731
            options = jaxbp.Options(loop_bytes=budget)
            return jaxbp.grad(f, (0, 1), options=options)(*point)

        run = jax.jit(gradient)
        for trips in (0, 1, 2, 3, 4, 5, 11, 12, 13, 48, 1000, 10_000):
            close(run(trips), by_hand(0.9, 1.1, trips))


def test_the_memory_does_not_grow_with_the_trips_and_follows_the_budget():
    x = jnp.linspace(0.0, 1.0, 1 << 12)

    def temporary(budget):
        options = jaxbp.Options(loop_bytes=budget)

        def f(x, w):
            return lax.while_loop(lambda c: c.sum() < 1e9, lambda c: jnp.tanh(c * w), x)

        run = jax.jit(jaxbp.grad(lambda x, w: f(x, w).sum(), (0, 1), options=options))
        return run.lower(x, x).compile().memory_analysis().temp_size_in_bytes

    state = x.nbytes
    assert temporary(20 * state) < 30 * state
    assert 60 * state < temporary(100 * state) < 115 * state


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_starts_are_placed_for_the_least_number_of_blocks_in_all(slots):
    """Against Revolve's count t(l, s) = r l - C(s + r, s + 1), by dynamic programs."""
    most = 40
    least = {(1, s): 0 for s in range(1, slots + 1)}
    least |= {(n, 1): n * (n - 1) // 2 for n in range(1, most)}
    for s in range(2, slots + 1):
        for n in range(2, most):
            ways = (d + least[n - d, s - 1] + least[d, s] for d in range(1, n))
            least[n, s] = min(ways)
    for n in range(2, most):
        ahead = int(starts.stride(jnp.int32(n), jnp.int32(slots)))
        assert (
            ahead + least[n - ahead, slots - 1] + least[ahead, slots]
            == (least[n, slots])
        )


def test_batched_under_the_gradient_and_around_it():
    trips = jnp.array([0, 1, 5, 37, 200])
    xs = jnp.linspace(0.1, 0.9, 5)
    w = jnp.float64(1.1)
    expected = [by_hand(float(x), 1.1, int(n)) for x, n in zip(xs, trips, strict=True)]
    x_bars, w_bars = np.array(expected).T
    each = jaxbp.grad(recurrence, (0, 1))
    close(jax.jit(jax.vmap(each, (0, None, 0)))(xs, w, trips), (x_bars, w_bars))
    whole = lambda x, w: jax.vmap(recurrence, (0, None, 0))(x, w, trips).sum()  # noqa: E731
    close(jax.jit(jaxbp.grad(whole, (0, 1)))(xs, w), (x_bars, w_bars.sum()))


def test_elements_that_take_no_step_do_not_spoil_the_weights_of_others():
    def f(x, w):
        """The body is NaN where c < 1, as it is of elements that begin there."""
        return lax.while_loop(lambda c: c > 1, lambda c: jnp.sqrt(c - 1) * w, x)

    xs = jnp.array([0.3, 3.0, -2.0, 9.0])
    run = jax.jit(jaxbp.grad(lambda x, w: jax.vmap(f, (0, None))(x, w).sum(), (0, 1)))
    plain = [jaxbp.grad(f, (0, 1))(x, jnp.float64(0.5)) for x in xs]
    x_bars, w_bars = np.array(plain).T
    close(run(xs, jnp.float64(0.5)), (x_bars, w_bars.sum()))


def test_weights_of_a_recurrent_net_in_both_float_types():
    def net(loop, w, b, h):
        step = lambda s: (s[0] + 1, jnp.tanh(s[1] @ w + b))  # noqa: E731
        return loop(lambda s: s[0] < 23, step, (0, h))[1].sum()

    for dtype, rtol in ((jnp.float64, 1e-12), (jnp.float32, 1e-4)):
        w = jnp.sin(jnp.arange(16, dtype=dtype).reshape(4, 4))
        b = jnp.ones((2, 4), dtype) / 7
        options = jaxbp.Options(loop_bytes=3000)  # several blocks, one not full
        ours = jaxbp.grad(net, (1, 2, 3), options=options)
        found = jax.jit(lambda *xs, f=ours: f(lax.while_loop, *xs))(w, b, b)
        theirs = jax.grad(net, (1, 2, 3))
        close(found, jax.jit(lambda *xs, f=theirs: f(bounded, *xs))(w, b, b), rtol)


def test_odd_carries_empty_integers_keys_and_what_does_not_move():
    def f(x):
        def step(s):
            i, key, empty, flag, still, c = s
            key, one = jax.random.split(key)
            c = c * (1 + 0.1 * jax.random.uniform(one, dtype=c.dtype)) + still
            return i + 1, key, empty * c, ~flag, still, jnp.where(flag, c, c * x)

        start = 0, jax.random.key(1), jnp.zeros((0,)), True, jnp.float64(0.3), x
        return lax.while_loop(lambda s: s[0] < 9, step, start)

    gradient = jax.jit(jaxbp.grad(lambda x: f(x)[5] + f(x)[2].sum()))
    x, eps = jnp.float64(0.7), 1e-6
    difference = (f(x + eps)[5] - f(x - eps)[5]) / (2 * eps)
    close(gradient(x), difference, 1e-8)


def test_what_only_says_when_to_stop_has_no_derivative():
    """A norm that ends at exactly 0, where its slope is infinite; also of a jitted
    step; what else is summed on the way still counts."""

    def f(a, b, power):
        @jax.jit
        def step(s):
            x = 0.5 * (s[0] + a / s[0])
            return x, jnp.linalg.norm(x - s[0]), s[2] + jnp.sum(s[0]) ** 2

        start = jnp.ones(2) * b, jnp.ones(()), jnp.zeros(())
        x, _, total = lax.while_loop(lambda s: s[1] > 0, step, start)
        return jnp.sum(x) + (total if power else 0)

    a = jnp.array([2.0, 3.0])
    gradient = jax.jit(jaxbp.grad(f, (0, 1)), static_argnums=2)
    slope, start = gradient(a, 1.5, 0)
    close((slope, start), (0.5 / jnp.sqrt(a), 0.0))
    eps = 1e-6
    asked = gradient(a, 1.5, 1)[1]
    close(asked, (f(a, 1.5 + eps, 1) - f(a, 1.5 - eps, 1)) / (2 * eps), 1e-6)
    hessian = jax.jit(jaxbp.jacfwd(jaxbp.grad(f)), static_argnums=2)(a, 1.5, 0)
    close(hessian, jnp.diag(-0.25 * a**-1.5))


def test_functions_with_rules_of_their_own_go_by_these():
    @jax.custom_vjp
    def doubled(x):
        return x

    doubled.defvjp(lambda x: (2 * x, None), lambda _, y_bar: (3 * y_bar,))

    def f(loop, x):
        step = lambda s: (s[0] + 1, doubled(jnp.sin(s[1])))  # noqa: E731
        return loop(lambda s: s[0] < 4, step, (0, x))[1]

    x = jnp.float64(0.7)
    ours = jax.jit(jaxbp.value_and_grad(lambda x: f(lax.while_loop, x)))(x)
    close(ours, jax.value_and_grad(lambda x: f(bounded, x))(x))


def test_the_option_gives_the_refusal_of_jax():
    def f(x):
        return lax.while_loop(lambda c: c < 9, lambda c: c * c, x)

    with pytest.raises(NoTranspose, match="strict_while.*forward mode"):
        jaxbp.grad(f, options=jaxbp.Options(strict_while=True))(3.0)
    with jaxbp.options(strict_while=True):
        assert jaxbp.jvp(f, (2.0,), (1.0,)) == (16.0, 32.0)
        with pytest.raises(ValueError, match="reverse-mode"):
            jaxbp.grad(f)(3.0)
    with pytest.raises(InvalidArgument, match="loop_bytes"):
        jaxbp.Options(loop_bytes=-1)
