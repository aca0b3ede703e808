"""What a result says of itself in a session is a line or a table, not a dump."""

import jax.numpy as jnp
import optax

import jaxbp
from jaxbp import training, worked
from jaxbp.layers import mlp
from jaxbp.timing import Roofs, Timing


def test_a_timing():
    assert repr(Timing((1e-3, 2e-3, 3e-3))) == (
        "Timing(median 2 ms, quartiles 1.5 ms to 2.5 ms, 3 samples)"
    )


def test_roofs():
    some = dict.fromkeys(Roofs.__dataclass_fields__, 1e9) | {"call_s": 2e-6}
    assert repr(Roofs(**some)).startswith("Roofs(1e+09 flops/s") and "2 µs" in repr(
        Roofs(**some)
    )


def test_a_layer():
    assert repr(mlp([2, 1])) == f"Layer({mlp([2, 1]).name!r})"


def test_a_training_result():
    found = training.fit(
        lambda w, x: (jnp.sum(w * x), jnp.sum(x)),
        jnp.zeros(()),
        (jnp.ones(4),),
        optimizer=optax.sgd(0.1),
        epochs=2,
        batch_size=None,
        progress=False,
    )
    assert repr(found).startswith("TrainingResult(finished after epoch 2, last loss ")


def test_reports_show_their_table():
    for report in (
        jaxbp.trace(jnp.sin, 1.0),
        jaxbp.cost(jnp.sin, 1.0),
        jaxbp.coverage().matching("sin"),
        worked.work(worked.load("mazur")),
    ):
        assert repr(report) == str(report) and "──" in repr(report)
        assert "<table" in report._repr_html_()
        assert len(report.as_dicts()) == len(report.rows) > 0
        assert str(report.table()) in str(report) and "| --- |" in (
            report.table().markdown()
        )
