"""A resumed run equals an uninterrupted one to the last bit, however it was ended."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbp.errors import DataError, DtypeMismatch, InvalidArgument, StructureMismatch
from jaxbp.training import EarlyStopping, NonFiniteLoss, fit, load
from jaxbp.training.state import initial_state
from tests.training.problem import assert_same_bits, make, measure, value_and_grad

OPTIMIZERS = {
    "adam": optax.adam(0.05),
    "momentum": optax.sgd(0.05, momentum=0.9),
    "schedule": optax.adamw(optax.cosine_decay_schedule(0.05, 40)),
    "noisy": optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(5)), optax.sgd(0.05)),
}


def train(path=None, optimizer="adam", dtype=jnp.float64, **options):
    params, data = make(dtype=dtype)
    settings = {
        "optimizer": OPTIMIZERS[optimizer],
        "epochs": 9,
        "batch_size": 8,
        "key": 3,
        "validation": make(6, dtype)[1],
        "metrics": measure,
        "state_path": path,
    }
    return fit(value_and_grad, params, data, **settings | options)


def assert_same_run(found, expected):
    assert_same_bits(found.state, expected.state)
    assert_same_bits(found.params, expected.params)
    assert_same_bits(found.history, expected.history)


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [(name, jnp.float64) for name in OPTIMIZERS]
    + [("adam", jnp.float32), ("adam", jnp.bfloat16)],
)
def test_resumed_equals_uninterrupted(tmp_path, optimizer, dtype):
    path = tmp_path / "state.safetensors"
    train(path, optimizer, dtype, epochs=4)
    resumed = train(path, optimizer, dtype, resume=True)
    assert_same_run(resumed, train(None, optimizer, dtype))


@pytest.mark.parametrize("at", [1, 2, 5])
def test_resumed_under_early_stopping(tmp_path, at):
    options = {"early_stopping": EarlyStopping(2), "optimizer": "momentum"}
    path = tmp_path / "state"
    train(path, epochs=at, **options)
    assert_same_run(
        train(path, epochs=60, resume=True, **options), train(epochs=60, **options)
    )


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    path = tmp_path / "state"
    first = train(path)
    assert_same_run(train(path, resume=True), first)


def test_resume_without_a_file_starts_anew(tmp_path):
    path = tmp_path / "state"
    assert_same_run(train(path, resume=True), train())
    assert path.exists()


def interrupt_at(epoch):
    def callback(state, record):
        if int(state.epoch) == epoch:
            raise KeyboardInterrupt

    return callback


def test_ctrl_c_keeps_a_loadable_state(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt) as caught:
        train(path, callback=interrupt_at(4))
    said = caught.value.__notes__[0]
    assert f"{path} holds the state after epoch 4" in said and "--resume" in said
    like = initial_state(make()[0], OPTIMIZERS["adam"], 0)
    assert int(load(path, like).tree.epoch) == 4
    assert_same_run(train(path, resume=True), train())


def test_ctrl_c_can_return_what_was_reached():
    found = train(callback=interrupt_at(4), on_interrupt="return")
    assert found.stopped == "interrupted"
    assert_same_run(found, train(epochs=4))


def test_ctrl_c_without_a_path_says_so():
    with pytest.raises(KeyboardInterrupt) as caught:
        train(callback=interrupt_at(2))
    assert "Nothing was saved of 2 epochs" in caught.value.__notes__[0]


def test_the_state_is_saved_while_running(tmp_path):
    path, epochs_saved = tmp_path / "state", []
    like = initial_state(make()[0], OPTIMIZERS["adam"], 0)

    def callback(state, record):
        if path.exists():
            epochs_saved.append(int(load(path, like).tree.epoch))

    train(path, save_every_s=0.0, epochs=4, callback=callback)
    assert epochs_saved == [1, 2, 3]


def test_the_last_good_state_is_saved_before_a_bad_loss(tmp_path):
    def explosive(params, inputs, targets):
        value, grads = value_and_grad(params, inputs, targets)
        return value, jax.tree.map(lambda g: g * 1e200, grads)

    params, data = make()
    path = tmp_path / "state"
    with pytest.raises(NonFiniteLoss):
        fit(
            explosive,
            params,
            data,
            optimizer=optax.sgd(1.0),
            epochs=9,
            state_path=path,
            batch_size=None,
        )
    like = initial_state(params, optax.sgd(1.0), 0)
    saved = load(path, like).tree
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.params))


def test_other_notes_are_refused(tmp_path):
    path = tmp_path / "state"
    train(path, notes={"seed": 1}, epochs=1)
    with pytest.raises(InvalidArgument, match="with `seed` 1, but this run has 2"):
        train(path, notes={"seed": 2}, resume=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "momentum"}, StructureMismatch, "optimizer_state"),
        ({"early_stopping": EarlyStopping(2)}, StructureMismatch, r"state\.best"),
        ({"dtype": jnp.float32}, DtypeMismatch, "must have dtype float32"),
    ],
)
def test_another_model_names_the_leaf(tmp_path, options, error, message):
    train(tmp_path / "state", epochs=1)
    with pytest.raises(error, match=message):
        train(tmp_path / "state", resume=True, **options)


def test_a_damaged_file_is_not_overwritten(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="not a safetensors file"):
        train(path, resume=True)
    assert path.read_bytes() == b"damaged"
