"""The digits network: learned by each of the three gradients, saved, and used."""

import jax
import numpy as np
import pytest

from jaxbp.errors import DataError, InvalidArgument, ShapeMismatch, UnknownName
from jaxbp.problems import digit_images
from jaxbp.training import fit_digits, predict_digits, save, train_digits
from tests.training.problem import assert_same_bits

GRADIENTS = ["layers", "engine", "jax"]


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("seed", range(5))
def test_accuracy(gradient, seed):
    # 30 of the default 50 epochs; the smallest of the 15 is .967
    found = fit_digits(gradient, seed, epochs=30)
    leaves = jax.tree.leaves(found.training.params)
    assert sum(leaf.size for leaf in leaves) == 2410
    assert {leaf.dtype for leaf in leaves} == {np.dtype("float32")}
    assert found.accuracy >= 0.95
    assert np.trace(found.confusion) == round(450 * found.accuracy)
    counts = np.bincount(found.split.test.targets)
    assert found.confusion.sum(axis=1).tolist() == counts.tolist()


def test_the_three_loss_curves_agree():
    # measured over 50 epochs, seeds 0 to 4: 6e-13 at most
    curves = [
        fit_digits(gradient, epochs=8, dtype="float64").training.history["step_loss"]
        for gradient in GRADIENTS
    ]
    assert curves[0].dtype == np.float64 and len(curves[0]) == 8 * 43
    for curve in curves[1:]:
        np.testing.assert_allclose(curve, curves[0], rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("setting", [True, False])
def test_the_process_keeps_its_own_precision(dtype, setting):
    with jax.enable_x64(setting):
        found = fit_digits("layers", epochs=1, dtype=dtype)
        assert jax.config.jax_enable_x64 == setting
    assert {p.dtype for p in jax.tree.leaves(found.training.params)} == {
        np.dtype(dtype)
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saved_resumed_and_used(tmp_path, dtype):
    path = tmp_path / "digits.safetensors"
    options = {"gradient": "layers", "dtype": dtype, "hidden": (8,)}
    fit_digits(epochs=2, save=path, **options)
    resumed = fit_digits(epochs=5, save=path, resume=True, **options)
    whole = fit_digits(epochs=5, **options)
    assert_same_bits(resumed.training.state, whole.training.state)
    assert_same_bits(resumed.training.history, whole.training.history)
    predicted = predict_digits(path, whole.split.test.inputs)
    assert np.array_equal(predicted, whole.predicted)


def test_images_in_rows_and_columns_are_read(tmp_path):
    fit_digits("layers", epochs=5, save=tmp_path / "digits")
    images, labels = digit_images()
    assert np.mean(predict_digits(tmp_path / "digits", images / 16) == labels) > 0.9
    with pytest.raises(ShapeMismatch, match="64"):
        predict_digits(tmp_path / "digits", np.ones((3, 7, 7)))


def test_other_settings_are_not_mixed_into_a_saved_run(tmp_path):
    path = tmp_path / "digits"
    fit_digits("layers", epochs=1, save=path)
    with pytest.raises(InvalidArgument, match="`seed` 0, but this run has 1"):
        fit_digits("layers", seed=1, epochs=2, save=path, resume=True)


def test_what_cannot_be_resumed_or_used_is_named(tmp_path):
    with pytest.raises(InvalidArgument, match="needs the file .* in `save`"):
        fit_digits(resume=True)
    with pytest.raises(DataError, match="there is no .*absent to resume from"):
        fit_digits(resume=True, save=tmp_path / "absent")
    save(tmp_path / "other", {"W": np.ones(2)})
    with pytest.raises(DataError, match="holds no digits network"):
        predict_digits(tmp_path / "other", np.ones((1, 64)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient": "engin"}, "`gradient` is `engin`.*Did you mean `engine`"),
        ({"dtype": "float16"}, "`dtype` is `float16`.*Did you mean `float"),
    ],
)
def test_unknown_names(options, message):
    with pytest.raises(UnknownName, match=message):
        fit_digits(**options)


def test_the_report(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a path is never folded: a short one, however deep
    outcome = train_digits("layers", epochs=1, save="digits")
    text = capsys.readouterr().out
    right = np.trace(outcome.confusion)
    assert f"{outcome.accuracy:.4f}  ({right} of 450)" in text
    for expected in ("2,410", "examples/s", "training loss", "test loss", "read as ("):
        assert expected in text
    assert f"4 of {450 - right} misread" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_report_of_an_untrained_network(capsys):
    train_digits("layers", epochs=0)
    assert "examples/s" not in capsys.readouterr().out
