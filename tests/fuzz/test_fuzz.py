"""A quick round of random programs; and whether the instrument finds and tells."""

import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax import lax
from jax.extend.core.primitives import exp_p, sin_p

from jaxbp.rules import registry
from tests.fuzz import __main__ as command
from tests.fuzz import chunk, compare, derivatives, programs
from tests.fuzz.compare import Question, difference
from tests.fuzz.programs import Program
from tests.fuzz.trial import Disagreement, trial

# Two seeds, so that two processes share them: each compiles what its programs need.
SEEDS = [1, 2]
COUNT = 50
SINE = "def program(ints, x0):\n    return [lax.sin(x0)]"
CANCELS = """
def program(ints, x0):
    y = lax.sin(x0) * 1e9
    return [lax.exp((y + x0) - y)]
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs(seed):
    counts = trial(COUNT, seed)
    assert counts["programs"] >= COUNT
    # What JAX refuses, or finds no number for, is compared with nothing.
    assert counts["refused by JAX"] < counts["questions"] / 10


@pytest.fixture
def replace():
    """Puts another rule into the table, for the length of a test."""
    replaced = {}

    def put(primitive, rule):
        replaced[primitive] = registry.lookup(primitive)
        registry.unregister(primitive)
        registry.register(primitive, rule)

    yield put
    for primitive, rule in replaced.items():
        registry.unregister(primitive)
        registry.register(primitive, rule)


def scaled_cosine(x):
    """The slope of the sine, wrong by a millionth."""
    return lax.cos(x) * (1 + 1e-6)


def test_a_planted_error_is_found_and_shrunk(replace, monkeypatch):
    replace(sin_p, registry.Elementwise((scaled_cosine,)))
    families = {name: programs.FAMILIES[name] for name in ("analytic", "binary")}
    monkeypatch.setattr(programs, "FAMILIES", families)
    with pytest.raises(Disagreement, match="of which rounding explains") as found:
        trial(100, 0, kinds=(np.dtype(np.float64),))
    source = str(found.value)
    program = source[source.index("def program") :].split("return")[0]
    assert len(program.splitlines()) <= 5, program
    # The source stands alone: it passes where the rule is right.
    test = source[source.index("import functools") :]
    done = subprocess.run([sys.executable, "-c", test], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def asked(source, derivative=derivatives.vjp):
    xs = {"x0": np.array([0.3, 0.7, 1.1])}
    program = Program(source, xs, {}, [xs["x0"]], frozenset(("jvp", "vjp")))
    return difference(program, Question(derivative, "jaxbp", "jaxbp", "jaxbp"))


def test_rounding_is_told_from_an_error(replace):
    """Half of the digits cancel, so that a slope rounded otherwise shows in them."""
    replace(sin_p, registry.Elementwise((lambda x: lax.cos(x) * (1 + 1e-15),)))
    replace(exp_p, registry.Elementwise((lambda y: y * (1 + 1e-9),)))
    assert not asked(CANCELS)


def test_a_value_that_is_rounded_otherwise_is_found(replace):
    """The value beside a derivative is the function's own, to the last bit."""

    def jvp(primals, tangents, **params):
        (x,), (x_dot,) = primals, tangents
        return 1 / (1 / lax.sin(x)), lax.cos(x) * x_dot

    replace(sin_p, registry.General(jvp))
    assert "value 0" in asked(SINE, derivatives.jvp)


def test_an_error_is_told_from_rounding(replace):
    replace(exp_p, registry.Elementwise((lambda y: y * (1 + 1e-3),)))
    assert "rounding explains" in asked(CANCELS)


def test_orders_stay_whole_where_rounding_is_tried():
    """A second derivative of lgamma is polygamma(1, x); at x / x all of it cancels."""
    source = "def program(ints, x0):\n    return [lax.lgamma(lax.div(x0, x0))]"
    assert not asked(source, derivatives.vjp_of_vjp)


def test_types_are_compared(monkeypatch):
    narrow = SimpleNamespace(
        jvp=lambda f, xs, x_dots: jax.tree.map(
            lambda y: y.astype(np.float32), jax.jvp(f, xs, x_dots)
        )
    )
    monkeypatch.setitem(compare.MODULES, "jaxbp", narrow)
    assert "types" in asked(SINE, derivatives.jvp)


def test_the_summary_shows_every_failure(capsys):
    counts = {"programs": 250, "questions": 700, "refused by JAX": 2}
    whole, broken = chunk.Chunk(3, counts, ""), chunk.Chunk(4, counts, "def program")
    assert not command.summary([whole], 10.0)
    assert command.summary([broken, whole], 10.0)
    shown = capsys.readouterr().out
    assert "# seed 4" in shown and "def program" in shown and "# seed 3" not in shown
    assert "500 programs in 10 s (50.0/s): 1,400 questions" in shown
    assert "4 refused by JAX, 1 seeds with a disagreement" in shown


def test_a_process_that_ends_is_a_failed_chunk(monkeypatch):
    monkeypatch.setattr(chunk.sys, "executable", "false")
    assert chunk.run(7) == chunk.Chunk(7, {}, "ended with status 1\n")
