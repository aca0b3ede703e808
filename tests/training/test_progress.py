"""The bar shows its figures when asked, and nothing where nobody looks."""

import optax
import pytest

from jaxbp.training import fit
from jaxbp.training.progress import EpochBar
from tests.training.problem import make, value_and_grad


@pytest.mark.parametrize(
    ("validation", "shown", "hidden"),
    [
        ({}, "loss 0.25  1,234", "validation"),
        ({"validation_loss": 0.5}, "loss 0.25  validation loss 0.5", "accuracy"),
        (
            {"validation_accuracy": 0.9, "validation_loss": 0.5},
            "loss 0.25  accuracy 0.9",
            "0.5",
        ),
    ],
)
def test_figures(capsys, validation, shown, hidden):
    with EpochBar(10, 2, show=True) as bar:
        bar.update(7, {"loss": 0.25, **validation}, 1234.0)
    text = capsys.readouterr().err
    assert "7/10" in text and shown in text and hidden not in text


def test_a_run_without_a_terminal_is_silent(capsys):
    params, data = make()
    fit(value_and_grad, params, data, optimizer=optax.sgd(0.1), epochs=2, batch_size=8)
    assert capsys.readouterr() == ("", "")
