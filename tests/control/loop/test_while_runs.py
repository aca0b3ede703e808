"""How often a loop of unknown length runs its step, in blocks and slots as set here."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import jaxbp
from jaxbp.control.loop import blocks, treeverse
from jaxbp.control.loop.sizes import Sizes
from tests.control.loop.test_whiles import by_hand, close, recurrence


def planned(trips, steps, slots):
    """Runs of the step by the recursion that `control.loop.starts` describes."""
    count, stored, stride = -(-trips // steps), [], 1
    for block in range(count):
        if block % stride == 0:
            if len(stored) >= slots // 2:
                stride *= 2
                stored = [b for b in stored if b % stride == 0]
            if block % stride == 0:
                stored.append(block)
    again = 0
    for block in reversed(range(count)):
        stored = [b for b in stored if b <= block]
        while stored[-1] < block and len(stored) < slots:
            left = block - stored[-1] + 1
            ahead = treeverse.ahead(left, slots - len(stored) + 1)
            stored.append(stored[-1] + ahead)
            again += ahead
        again += block - stored[-1]
    return 2 * trips + again * steps


@pytest.mark.parametrize(("steps", "slots"), [(4, 4), (8, 16)])
def test_steps_run_as_often_as_planned_and_thrice_within_a_quarter_of_slots_squared(
    steps, slots, monkeypatch
):
    monkeypatch.setattr(blocks, "sizes", lambda *_: Sizes(steps, slots))
    runs = [0]

    def called():
        runs[0] += 1

    def f(x, w, trips):
        def step(state):
            jax.debug.callback(called)
            return state[0] + 1, jnp.sin(state[1]) * w + 0.1 * state[0] / (1 + state[0])

        return lax.while_loop(lambda s: s[0] < trips, step, (0, x))[1]

    run = jax.jit(jaxbp.grad(f, (0, 1)))
    most = steps * slots**2 // 4
    for trips in (0, 1, steps, steps + 1, most - 1, most, most + 1, 7 * most, 999):
        runs[0] = 0
        close(run(jnp.float64(0.9), jnp.float64(1.1), trips), by_hand(0.9, 1.1, trips))
        jax.effects_barrier()
        assert runs[0] == planned(trips, steps, slots)
        if trips <= most:
            assert runs[0] <= 3 * trips


def test_ten_thousand_trips_in_blocks_of_four_steps_and_four_slots(monkeypatch):
    monkeypatch.setattr(blocks, "sizes", lambda *_: Sizes(4, 4))
    run = jax.jit(jaxbp.grad(recurrence, (0, 1)))
    for trips in (10_000, 10_001, 9_999):
        found = run(jnp.float64(0.9), jnp.float64(1.1), trips)
        close(found, by_hand(0.9, 1.1, trips), 1e-9)


@pytest.mark.parametrize("length", [60, 61])
def test_loops_of_known_length_run_as_often_as_their_layout_says(length):
    """Divisible by its blocks or not; bytes too, beside those of a whole tape."""
    runs = [0]

    def called():
        runs[0] += 1

    def gradient(budget, calls=True):
        def f(x):
            def step(x, _):
                if calls:
                    jax.debug.callback(called)
                return jnp.sin(x), None

            return lax.scan(step, x, None, length=length)[0].sum()

        options = jaxbp.Options(loop_bytes=budget, scan_residuals="stack")
        return jax.jit(jaxbp.grad(f, options=options))

    x = jnp.linspace(0.1, 0.9, 512)
    budget = 12 * x.nbytes
    plan = treeverse.layout(length, x.nbytes, x.nbytes, budget)
    assert plan.blocks and plan.length == length
    found = gradient(budget)(x)
    jax.effects_barrier()
    assert runs[0] == plan.runs
    close(found, gradient(None, calls=False)(x), 1e-12)
    used = gradient(budget, calls=False).lower(x).compile().memory_analysis()
    assert used.temp_size_in_bytes <= budget + 6 * x.nbytes
