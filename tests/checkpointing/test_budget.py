"""Gradients within a budget: values, peaks, the least that is feasible."""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.checkpointing import chain, mincut, schedule
from jaxbp.errors import InvalidArgument
from jaxbp.settings import bytes_of
from tests.costs.test_predicted import ROOFS

WIDTHS = [128, 96, 160, 64, 192, 128, 96, 224, 64, 160, 128, 96, 128]
WEIGHTS = [
    jnp.sin(jnp.arange(n * m, dtype=jnp.float32)).reshape(n, m) / 8
    for n, m in zip(WIDTHS, WIDTHS[1:], strict=False)
]
X = jnp.cos(jnp.arange(512 * 128, dtype=jnp.float32)).reshape(512, 128)


def deep(x, weights):
    for w in weights:
        x = jnp.tanh(x @ w)
    return jnp.sum(x**2)


def peak(gradient, *args):
    used = jax.jit(gradient).lower(*args).compile().memory_analysis()
    return (
        used.temp_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    )


def close(ours, theirs):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-5)


@pytest.mark.parametrize(
    ("argnums", "ad"), [(0, jaxbp), ((0, 1), jax)], ids=["inputs", "weights"]
)
def test_a_peak_keeps_within_its_budget_by_either_gradient(argnums, ad):
    whole = jaxbp.checkpointed(deep, "1GB", argnums).plan(X, WEIGHTS)
    assert whole.extra == 0
    f = jaxbp.checkpointed(deep, whole.measured_bytes * 3 // 4, argnums)
    plan = f.plan(X, WEIGHTS)
    assert plan.measured_bytes <= plan.budget_bytes and plan.extra > 0
    assert f"{plan.times_f:.2f} times f" in str(plan)
    assert abs(plan.predicted_bytes / plan.measured_bytes - 1) < 0.2
    run = ad.grad(f, argnums)
    assert peak(run, X, WEIGHTS) <= 1.02 * plan.budget_bytes
    close(jax.jit(run)(X, WEIGHTS), jax.jit(jax.grad(deep, argnums))(X, WEIGHTS))


def test_a_budget_that_no_schedule_keeps_names_the_least():
    with pytest.raises(InvalidArgument, match="within 1000 bytes: the least .* MB"):
        jaxbp.checkpointed(deep, 1000).plan(X, WEIGHTS)


def test_pytrees_integers_second_derivatives_and_skips():
    def f(tree, n):
        x, skip = tree["x"], []
        for _ in range(3):
            skip.append(x)
            x = jnp.sin(x @ tree["w"]) + n.astype(x.dtype)
        for old in reversed(skip):
            x = jnp.cos(x @ tree["w"]) * old
        return {"sum": x.sum(), "max": x.max()}

    tree = {"x": jnp.ones((256, 16)) / 3, "w": jnp.eye(16) / 2}
    n = jnp.int32(2)
    plain = lambda t: f(t, n)["sum"]  # noqa: E731
    whole = jaxbp.checkpointed(f, "1 GB").plan(tree, n)
    least = whole.rows[len(whole.rows) // 3]
    budget = max(least.predicted_bytes, whole.measured_bytes * 9 // 10)
    kept = jaxbp.checkpointed(f, budget)
    mine = lambda t: kept(t, n)["sum"]  # noqa: E731
    close(kept(tree, n), f(tree, n))
    close(jax.jit(jaxbp.grad(mine))(tree), jax.grad(plain)(tree))
    along = lambda ad, g: jax.jit(lambda t: ad.jvp(g, (t,), (t,))[1])(tree)  # noqa: E731
    close(along(jaxbp, jaxbp.grad(mine)), along(jax, jax.grad(plain)))


@pytest.mark.parametrize(
    ("said", "size"),
    [(17, 17), ("60MB", 60e6), ("1.5 GiB", 1.5 * 2**30), ("2k", 2e3), ("8", 8)]
    + [(np.int64(17), 17), (np.uint8(3), 3), (6e7, 60_000_000), (jnp.int32(9), 9)],
)
def test_sizes_in_words(said, size):
    assert bytes_of(said) == size and type(bytes_of(said)) is int
    if not isinstance(said, str):
        assert jaxbp.Options(loop_bytes=said).loop_bytes == size


@pytest.mark.parametrize("said", ["much", "-3MB", -1, 1.5, True, None, np.inf])
def test_a_budget_that_is_none(said):
    with pytest.raises(InvalidArgument, match="`budget` must be"):
        jaxbp.checkpointed(deep, said)


def test_the_cheapest_values_cut_all_residuals_off():
    """a (8) is costly; b (2), c (8), d (8) follow from what is before them."""
    sizes = {"a": 8, "b": 2, "c": 8, "d": 8, "e": 3}
    before = {"a": None, "b": ["a"], "c": ["b"], "d": ["b"], "e": None}
    least = lambda wanted: mincut.least_bytes(wanted, sizes.get, before.get)  # noqa: E731
    assert least(["c", "d"]) == 2
    assert least(["a", "c"]) == 8
    assert least(["c", "e"]) == 5
    assert least([]) == 0


def test_a_schedule_takes_the_runs_and_the_bytes_that_it_says():
    one = schedule.Segment(1, 0, 1.0, (schedule.Way(1, 0),))
    solved = schedule.Schedules([one] * 10, schedule.LEVELS)
    costs = solved.seconds()[2:11]
    assert list(costs) == sorted(costs, reverse=True) and costs[-1] == 0
    for slots, cost in enumerate(costs, 2):
        tree = solved.tree(slots)
        assert schedule.peak([one] * 10, tree) <= slots
        assert len(schedule.runs(tree)) == 10 + cost


def test_cuts_lie_where_few_bytes_are_alive():
    found = chain.chain_of(jax.make_jaxpr(jax.jit(deep))(X, WEIGHTS), [True] * 13)
    assert len(found.ends) == len(WEIGHTS)  # none at 224, between 96 and 64
    assert all(len(state) == 1 for state in found.states)


def test_functions_of_few_equations():
    """An output that is an argument or a number; states that are larger than tapes."""
    same = jaxbp.checkpointed(lambda x: (x, jnp.sum(x), 2.0), "1MB")
    assert jax.tree.map(float, jax.tree.map(jnp.sum, same(jnp.ones(3)))) == (3, 3, 2)
    found = jax.grad(lambda x: jnp.sum(same(x)[0]) + same(x)[1])(jnp.ones(3))
    np.testing.assert_array_equal(found, 2 * jnp.ones(3))
    wide = jaxbp.checkpointed(lambda x, w: jnp.tanh(jnp.tanh(x @ w) @ w.T), "1kB")
    with pytest.raises(InvalidArgument, match="the least"):
        wide(jnp.ones(256), jnp.ones((256, 4)))


def recurrent(w, us):
    step = lambda h, u: (jnp.tanh(h @ w + u), None)  # noqa: E731
    return jnp.sum(jax.lax.scan(step, us[0], us)[0] ** 2)


W = 0.1 * WEIGHTS[0][:32, :32]
US = jnp.sin(jnp.arange(300 * 16 * 32, dtype=jnp.float32)).reshape(300, 16, 32)


def test_a_loop_within_a_budget_by_either_gradient_and_by_the_option():
    whole = peak(jaxbp.grad(recurrent), W, US)
    budget = whole // 3
    f = jaxbp.checkpointed(recurrent, budget)
    plan = f.plan(W, US)
    (loop,) = plan.loops
    assert plan.measured_bytes <= budget and 300 < loop.runs < 900
    assert f"{loop.runs / 300:.2f} times 300" in str(plan)
    rows = plan.rows
    work = [row["times_f"] for row in plan.as_dicts()]
    assert work == sorted(work, reverse=True) and json.dumps(plan.as_dicts())
    assert sum(row.taken for row in rows) == 1
    assert plan.picture().axes
    by_option = jaxbp.grad(recurrent, options=jaxbp.Options(memory=budget))
    expected = jax.jit(jax.grad(recurrent))(W, US)
    for run in (jax.grad(f), by_option):
        assert peak(run, W, US) <= 1.02 * budget
        close(jax.jit(run)(W, US), expected)


def test_the_option_keeps_aux_and_refuses_what_cannot_be():
    def f(x, n):
        return jnp.sum(jnp.tanh(x @ x.T) ** 2), {"n": n, "x": x[0]}

    x, n = X[:64, :16], jnp.int32(3)
    with jaxbp.options(memory="1MB"):
        (value, aux), found = jaxbp.value_and_grad(f, has_aux=True)(x, n)
        assert jaxbp.grad(lambda x: jnp.sum(jnp.sin(x) * x[0, 0]))(x).shape == x.shape
    expected = jax.value_and_grad(f, has_aux=True)(x, n)
    close(((value, aux["x"]), found), ((expected[0][0], x[0]), expected[1]))
    assert aux["n"] == 3
    with jaxbp.options(memory=100), pytest.raises(InvalidArgument, match="the least"):
        jaxbp.grad(lambda x: f(x, n)[0])(x)
    with pytest.raises(InvalidArgument, match="`memory` must be"):
        jaxbp.options(memory="much")


def test_the_least_that_a_refusal_names_is_to_be_had():
    f = lambda b: jaxbp.checkpointed(recurrent, b)  # noqa: E731
    with pytest.raises(InvalidArgument) as refused:
        f(10_000).plan(W, US)
    least = int(str(refused.value).split("here is ")[1].split(" bytes")[0])
    assert f(least).plan(W, US).measured_bytes <= least


def test_a_larger_budget_never_takes_more_time_nor_fewer_bytes():
    """And to plan takes less than to compile one gradient."""
    gradient = jax.jit(jaxbp.grad(deep, (0, 1)))
    begun = time.process_time()
    whole = gradient.lower(X, WEIGHTS).compile().memory_analysis()
    compiling_s = time.process_time() - begun
    plain = whole.temp_size_in_bytes + whole.output_size_in_bytes
    plans = [
        jaxbp.checkpointed(deep, int(share * plain), (0, 1)).plan(X, WEIGHTS)
        for share in (0.95, 0.6, 0.7, 0.8, 1.5)
    ]
    plans.sort(key=lambda plan: plan.budget_bytes)
    for plan, larger in zip(plans, plans[1:], strict=False):
        assert plan.measured_bytes <= min(plan.budget_bytes, larger.measured_bytes)
        assert plan.extra >= larger.extra
    assert all(plan.planning_s < compiling_s for plan in plans)
    off = [abs(p.predicted_bytes / p.measured_bytes - 1) for p in plans]
    assert sorted(off)[len(off) // 2] < 0.1 and max(off) < 0.2


def test_random_masks_are_made_where_they_are_read():
    """Their keys are known from the start, and a compiler might make all at once."""

    def f(weights, x, key):
        for number, w in enumerate(weights):
            key_here = jax.random.fold_in(key, number)
            kept = jax.random.bernoulli(key_here, 0.9, x.shape)
            x = x + jnp.where(kept, jnp.tanh(x @ w), 0)
        return jnp.mean(x**2)

    weights, x = [jnp.eye(64, dtype=X.dtype) / 2] * 6, X[:, :64]
    args = weights, x, jax.random.key(0)
    plain = peak(jaxbp.grad(f), *args)
    kept = jaxbp.checkpointed(f, plain * 6 // 10)
    assert kept.plan(*args).extra < 2
    close(jax.jit(jaxbp.grad(kept))(*args), jax.jit(jax.grad(f))(*args))


def test_what_cannot_be_is_told_in_the_words_of_the_call():
    def f(x, twice):
        return jnp.sum(2 * x if twice else x)

    x = jnp.ones(3)
    close(jax.grad(jaxbp.checkpointed(f, "1MB"))(x, True), 2 * x)
    refused = lambda said: pytest.raises(InvalidArgument, match=said)  # noqa: E731
    with refused("none of them holds real .*: `x` is bool True"):
        jaxbp.checkpointed(f, "1MB").plan(True, False)
    with refused("`x` is of dtype int32"):
        jaxbp.checkpointed(f, "1MB").plan(jnp.arange(3, dtype=jnp.int32), True)
    with refused("`argnums` must be an integer"):
        jaxbp.checkpointed(f, "1MB", argnums=1.0)  # pyright: ignore
    with refused("`f`, which needs the value .* jax.lax.cond"):
        jaxbp.checkpointed(f, "1MB")(x, jnp.array(True))


def test_seconds_beside_bytes_where_they_are_measured(monkeypatch):
    monkeypatch.setattr(jaxbp.timing, "device_roofs", lambda *_: ROOFS)
    plan = jaxbp.checkpointed(recurrent, 100_000).plan(W, US, measure=True)
    assert plan.seconds and plan.plain_seconds
    assert min(*plan.seconds, *plan.plain_seconds) > 0
    assert plan.seconds.predicted > plan.plain_seconds.predicted
    assert "Measured: " in str(plan) and "without a budget" in str(plan)
    types = jax.ShapeDtypeStruct(US.shape, US.dtype)
    with pytest.raises(InvalidArgument, match="measuring needs arrays"):
        jaxbp.checkpointed(recurrent, 100_000).plan(W, types, measure=True)


def last_state(x):
    step = lambda c, t: (jnp.sin(c) + t,) * 2  # noqa: E731
    return lax.scan(step, x, jnp.arange(5.0))[0].sum()


def some_outputs(x):
    step = lambda c, t: ((jnp.sin(c[0]) + t, c[1] + 1), (c[0], jnp.cos(c[0])))  # noqa: E731
    (c, _), (_, ys) = lax.scan(step, (x, 0), jnp.arange(5.0))
    return c.sum() + ys[2].sum()


def within(x):
    def outer(c, t):
        return lax.scan(lambda d, _: (jnp.sin(d) * t, d.sum()), c, None, 3)[0], c

    return lax.scan(outer, x, jnp.arange(5.0))[0].sum()


def one_of_two(x):
    two = lambda: (jnp.sin(x), jnp.cos(x))  # noqa: E731
    return lax.cond(x[0] > 0, two, lambda: (x, x * x))[0].sum()


@pytest.mark.parametrize("f", [last_state, some_outputs, within, one_of_two])
@pytest.mark.parametrize("budget", ["60MB", "1kB"])
def test_loops_and_branches_of_which_some_outputs_are_not_read(f, budget):
    x = jnp.linspace(0.1, 1.0, 10)
    right = jax.grad(f)(x)
    np.testing.assert_allclose(
        jaxbp.grad(jaxbp.checkpointed(f, budget="60MB"))(x), right, 1e-12
    )
    try:
        with jaxbp.options(memory=budget):
            ours = jaxbp.grad(f)(x)
    except InvalidArgument:  # 1 kB is less than some need
        assert budget == "1kB"
    else:
        np.testing.assert_allclose(ours, right, 1e-12)
