"""A wrong gradient is found with few calls of it, and few of its programs compiled."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbp import check
from jaxbp.checks import perturbed


def recurrent(w, xs):
    step = lambda h, x: (jnp.tanh(w @ h + x), None)  # noqa: E731
    return jnp.sum(jax.lax.scan(step, jnp.zeros(3), xs)[0] ** 2)


def test_yours_is_called_once_a_point_and_traced_for_the_rest():
    """Each call of it compiles its loop anew."""
    calls = 0

    def grad(w, xs):
        nonlocal calls
        calls += 1
        return 1.01 * jax.grad(recurrent)(w, xs)

    report = check(recurrent, 0.3 * jnp.eye(3), jnp.ones((5, 3)), grad=grad)
    assert report.verdict == "differ"
    assert calls <= 8, calls


def test_what_runs_often_is_compiled(monkeypatch):
    monkeypatch.setattr(perturbed, "FEW", 3)
    evaluated = []
    moved = perturbed.moved

    def counted(y, *rest):
        evaluated.append(y)
        return moved(y, *rest)

    monkeypatch.setattr(perturbed, "moved", counted)
    run = perturbed.perturbed(lambda x: jnp.sin(x) * x)
    ys = {float(run(np.uint32(seed), jnp.float32(0.5))) for seed in range(10)}
    assert len(evaluated) == 2 * 3, "two operations, twice by themselves, once traced"
    assert len(ys) > 3 and np.allclose(list(ys), 0.5 * np.sin(0.5), rtol=1e-6)
