"""The table of one function's times: right first, in turn, unsteady rows marked."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp import cost, offered, timing
from jaxbp.display import records
from jaxbp.errors import InvalidArgument
from jaxbp.timing import contenders, modes
from jaxbp.timing.clock import Timing


def loss(model, x, power=2):
    return jnp.sum(model["activation"](x @ model["w"]) ** power)


MODEL = {"w": jnp.ones((3, 2)), "activation": jnp.tanh}
X = jnp.ones((4, 3))
FEW = {"rounds": 3, "budget_s": 0.01}


def test_all_modes_beside_jax():
    report = timing.table(loss, MODEL, X, 3, **FEW)
    assert [(row.what, row.by) for row in report.rows] == [
        ("f", ""),
        *((w, by) for w in ("gradient", "pushforward", "pullback")
          for by in ("jaxbp", "jax")),
    ]  # fmt: skip
    for row in report.rows:
        assert row.time_q25_s <= row.time_s <= row.time_q75_s
        assert row.trace_s > 0 and row.compile_s > 0 and not row.remark
        assert (row.beside_jax is not None) == (row.by == "jaxbp")
    assert report.rows[0].over_f == 1
    text = str(report)
    assert "beside jax" in text and repr(report) == text
    assert "<table" in report._repr_html_()
    assert len(records.csv_text(report.as_dicts()).splitlines()) == 8


def test_an_output_that_is_no_scalar_has_no_gradient():
    report = timing.table(lambda x: (x * 2, x.sum()), jnp.ones(3), **FEW)
    assert {row.what for row in report.rows} == {"f", "pushforward", "pullback"}


@jax.custom_vjp
def no_forward(x):
    return jnp.sin(x)


no_forward.defvjp(lambda x: (jnp.sin(x), x), lambda x, y_bar: (y_bar * jnp.cos(x),))


def test_what_one_side_refuses_is_said_and_the_other_is_timed():
    rows = timing.table(no_forward, 1.0, **FEW).rows
    ours, theirs = (row for row in rows if row.what == "pushforward")
    assert ours.time_s and ours.beside_jax is None
    assert theirs.time_s is None and theirs.remark.startswith("refused: ")


def test_a_wrong_result_is_not_timed(monkeypatch):
    right = offered.DERIVATIVES["value_and_grad"]

    def halved(f):
        def call(*args):
            value, grads = right(f)(*args)
            return value, jax.tree.map(lambda x: x / 2, grads)

        return call

    monkeypatch.setitem(offered.DERIVATIVES, "value_and_grad", halved)
    report = timing.table(loss, MODEL, X, **FEW)
    row = next(
        row for row in report.rows if (row.what, row.by) == ("gradient", "jaxbp")
    )
    assert row.time_s is None and "differs from jax's by" in row.remark
    assert "`jaxbp.check` says which is right" in str(report)


def test_an_unsteady_row_is_measured_again_and_marked(monkeypatch):
    taken = []

    def samples(built, given, rounds, budget_s):
        taken.append(len(built))
        calm = Timing((1.0, 1.0, 1.0))
        rough = Timing((1.0, 2.0, 4.0))
        return {c: rough if c.what == "pullback" else calm for c in built}

    monkeypatch.setattr(modes, "_samples", samples)
    report = timing.table(loss, MODEL, X, **FEW)
    assert taken == [7, 7]
    assert {row.what for row in report.rows if row.unstable} == {"pullback"}
    assert "2 s ~" in str(report) and "measured twice" in str(report)
    assert "Repeat it when the machine has nothing else to do" in str(report)


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [((2,), {}, "Write 2.0, not 2"), ((2.0,), {"argnums": 1}, "positions from 0 to 0")],
)
def test_wrong_input(args, options, said):
    with pytest.raises(InvalidArgument, match=said):
        timing.table(jnp.sin, *args, **options)


def test_a_number_of_python_is_an_output():
    report = timing.table(lambda x: 3.0, jnp.ones(2), rounds=3, budget_s=0.01)
    assert not any(row.remark for row in report.rows)


def test_a_function_without_output_is_refused():
    with pytest.raises(InvalidArgument, match="must return arrays"):
        timing.table(lambda x: None, jnp.ones(2), rounds=3, budget_s=0.01)


def test_no_budget_is_refused():
    with pytest.raises(InvalidArgument, match="`budget_s` must be above 0"):
        timing.table(jnp.sin, 1.0, budget_s=-1)


def test_numpy_inside_is_told_with_its_line():
    with pytest.raises(TypeError) as caught:
        timing.table(
            lambda x: np.sum(np.asarray(x)), jnp.ones(2), rounds=3, budget_s=0.01
        )
    assert any("test_modes.py:" in note for note in caught.value.__notes__)


def test_the_command_takes_the_same_rounds():
    from jaxbp.commands.time import time

    defaults = [
        inspect.signature(f).parameters["rounds"].default for f in (time, timing.table)
    ]
    assert defaults[0] == defaults[1]


def test_ratios_are_explained_and_marked_with_their_times():
    rows = (
        modes.TimeRow("f", "", time_s=1.0, over_f=1.0),
        modes.TimeRow("pullback", "jaxbp", time_s=2.0, over_f=2.0, beside_jax=1.0),
        modes.TimeRow("pullback", "jax", time_s=2.0, over_f=2.0, unstable=True),
    )
    report = modes.TimeReport("f", "here", rows)
    ours, theirs = report.table().lines[1:]
    assert ours.cells[4:6] == ("2.00", "1.00 ~") and theirs.cells[4] == "2.00 ~"
    assert "medians of paired runs" in str(report)


def test_an_output_without_aux_is_no_pair():
    """The first element of an array, or of three, would be taken for the output."""
    for f in (lambda x: x[:2], lambda x: (x.sum(), 1, 2)):
        with pytest.raises(InvalidArgument, match="must return a pair"):
            timing.table(f, jnp.ones(3), has_aux=True)
        with pytest.raises(InvalidArgument, match="must return a pair"):
            cost(f, jnp.ones(3), has_aux=True)


def test_tangents_and_cotangents_are_arguments():
    """As constants of the program XLA for CPUs has multiplied them to NaN."""
    draw = np.random.default_rng(0).standard_normal
    w, x, y = (
        jnp.asarray(draw(s), jnp.float32) for s in ((512,) * 2, *[(64, 512)] * 2)
    )
    squares = lambda w, x, y: jnp.mean((jnp.tanh(x @ w) - y) ** 2)  # noqa: E731
    subject = contenders.Subject(squares, (w, x, y), 0, has_aux=False)
    found = {
        (c.what, c.by): jax.jit(c.call)(*subject.given) for c in subject.contenders()
    }
    right = jnp.sum(jax.grad(squares)(w, x, y))
    for by in (contenders.OURS, contenders.THEIRS):
        np.testing.assert_allclose(found["pushforward", by][1], right, rtol=1e-3)
