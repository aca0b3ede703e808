"""`fit` against a plain Python loop, and each way in which a run can end."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbp.errors import InvalidArgument, ShapeMismatch, UnknownName
from jaxbp.training import EarlyStopping, NonFiniteLoss, fit
from jaxbp.training.data import Batches, epoch_rows, take
from tests.training.problem import assert_same_bits, loss, make, measure, value_and_grad

ADAM = optax.adam(0.05)


def train(**options):
    params, data = make()
    settings = {"optimizer": ADAM, "epochs": 4, "batch_size": 8, "key": 3}
    return fit(value_and_grad, params, data, **settings | options)


@pytest.mark.parametrize(
    ("batch_size", "last_batch"),
    [(1, "keep"), (8, "keep"), (8, "drop"), (None, "keep")],
)
def test_fit_equals_a_plain_loop(batch_size, last_batch):
    found = train(batch_size=batch_size, last_batch=last_batch, epochs=3)
    params, data = make()
    optimizer_state, step_losses, epoch_losses = ADAM.init(params), [], []
    batches = Batches(21, batch_size or 21, True, last_batch)
    jitted = jax.jit(value_and_grad)
    for epoch in range(3):
        key = jax.random.fold_in(jax.random.key(3), epoch)
        total = 0.0
        for rows in [r for part in epoch_rows(batches, key) for r in _rows(part)]:
            value, grads = jitted(params, *take(data, rows))
            with jax.numpy_dtype_promotion("standard"):
                updates, optimizer_state = ADAM.update(grads, optimizer_state)
            params = optax.apply_updates(params, updates)
            step_losses.append(value)
            total += float(value) * len(rows)
        epoch_losses.append(total / batches.examples)
    for name in params:
        np.testing.assert_allclose(found.params[name], params[name], rtol=1e-9)
    np.testing.assert_allclose(found.history["step_loss"], step_losses, rtol=1e-9)
    np.testing.assert_allclose(found.history["loss"], epoch_losses, rtol=1e-9)
    assert found.stopped == "finished" and int(found.state.epoch) == 3


def _rows(part):
    return list(part) if part.ndim == 2 else [part] * (len(part) > 0)


def test_training_reduces_the_loss():
    found = train(epochs=200)
    assert found.history["loss"][-1] < 0.05 * found.history["loss"][0]
    assert found.run_s > 0 and found.compile_s > 0
    assert found.examples_per_s == pytest.approx(200 * 21 / found.run_s)


def test_how_a_run_is_cut_into_calls_does_not_show():
    assert_same_bits(
        train(epochs=30, callback=lambda state, record: None).state,
        train(epochs=30).state,
    )


def test_zero_epochs_return_the_parameters_given():
    found = train(epochs=0)
    assert_same_bits(found.params, make()[0])
    assert found.history == {} and found.examples_per_s == 0


def test_python_numbers_and_numpy_arrays_are_parameters():
    def line(params, x, y):
        return jnp.mean((params["a"] * x + params["b"][0] - y) ** 2)

    x = np.linspace(-1, 1, 16)
    found = fit(
        jax.value_and_grad(line),
        {"a": 0.0, "b": np.zeros(1)},
        (x, 3 * x - 1),
        optimizer=optax.sgd(0.2),
        epochs=100,
        batch_size=None,
    )
    assert found.params["a"] == pytest.approx(3, abs=1e-6)
    assert found.params["b"][0] == pytest.approx(-1, abs=1e-6)


def test_narrow_parameters_keep_their_dtype():
    dtype = jnp.dtype(jnp.bfloat16)
    params, data = make(dtype=dtype)
    found = fit(value_and_grad, params, data, optimizer=ADAM, epochs=3, batch_size=8)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.params)} == {dtype}
    assert found.history["loss"].dtype == np.float32


def test_a_legacy_key_serves():
    assert_same_bits(train(key=jax.random.PRNGKey(3)).params, train().params)


def test_validation_columns():
    validation = make(9)[1]
    found = train(validation=validation, metrics=measure)
    default = train(validation=validation)
    assert {k: v.shape for k, v in found.history.items()} == {
        "loss": (4,),
        "validation_loss": (4,),
        "validation_score": (4,),
        "step_loss": (12,),
    }
    last = loss(found.params, *validation)
    np.testing.assert_allclose(found.history["validation_loss"][-1], last, rtol=1e-12)
    np.testing.assert_allclose(
        default.history["validation_loss"], found.history["validation_loss"], rtol=1e-12
    )


def valley(params, x):
    """Falls until w = 1 and rises after: SGD with this `gradient` walks past it."""
    return (params["w"] - 1) ** 2, {"w": jnp.full_like(params["w"], -1.0)}


def walk(stopping, **options):
    return fit(
        valley,
        {"w": jnp.zeros(())},
        (jnp.zeros((1, 1)),),
        validation=(jnp.zeros((1, 1)),),
        metrics=lambda p, x: {"loss": valley(p, x)[0], "negative": -valley(p, x)[0]},
        optimizer=optax.sgd(0.25),
        batch_size=None,
        early_stopping=stopping,
        **{"epochs": 50} | options,
    )


@pytest.mark.parametrize("patience", [1, 3])
@pytest.mark.parametrize("maximise", [False, True])
def test_early_stopping_restores_the_best(patience, maximise):
    monitor = "validation_negative" if maximise else "validation_loss"
    found = walk(EarlyStopping(patience, monitor, maximise))
    assert found.stopped == "early"
    assert int(found.state.best.epoch) == 4 and int(found.state.epoch) == 4 + patience
    assert found.params["w"] == 1
    assert found.state.params["w"] == 1 + 0.25 * patience
    assert len(found.history["loss"]) == 4 + patience


def test_the_best_is_returned_when_epochs_run_out():
    found = walk(EarlyStopping(10), epochs=6)
    assert found.stopped == "finished" and found.params["w"] == 1


def test_an_unknown_monitor_names_the_nearest():
    with pytest.raises(UnknownName, match="`validation_los`.*`validation_loss`"):
        walk(EarlyStopping(3, "validation_los"))


def test_callback_sees_every_epoch_and_can_stop():
    seen = []

    def callback(state, record):
        seen.append((int(state.epoch), record["loss"]))
        return len(seen) == 3

    found = train(callback=callback)
    assert found.stopped == "callback"
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert [value for _, value in seen] == found.history["loss"].tolist()


def explodes_at(limit, bad):
    """SGD with these gradients raises w by 1 a step; from `limit` on loss is `bad`."""

    def value_and_grad(params, x):
        w = params["w"]
        return jnp.where(w >= limit, bad, w), {"w": -jnp.ones_like(w)}

    return value_and_grad


@pytest.mark.parametrize(
    ("limit", "bad"), [(0, jnp.inf), (5, jnp.nan), (6, jnp.nan), (40, jnp.inf)]
)
def test_a_bad_loss_names_epoch_and_step_and_keeps_the_last_good_state(limit, bad):
    with pytest.raises(NonFiniteLoss) as caught:
        fit(
            explodes_at(limit, bad),
            {"w": jnp.zeros(())},
            (jnp.zeros((6, 1)),),  # three steps an epoch
            optimizer=optax.sgd(1.0),
            epochs=50,
            batch_size=2,
        )
    epoch, step = limit // 3 + 1, limit % 3 + 1
    error = caught.value
    assert (error.epoch, error.step) == (epoch, step)
    assert f"the loss is {bad} at step {step} of epoch {epoch}" in str(error)
    assert error.result.params["w"] == 3 * (epoch - 1)
    assert error.result.history["step_loss"].tolist() == list(range(3 * (epoch - 1)))
    assert error.result.stopped == "non-finite"


def test_a_bad_gradient_in_the_last_step_is_caught():
    def bad_gradient(params, x):
        w = params["w"]
        return w, {"w": jnp.where(w >= 5, jnp.nan, -1.0)}

    with pytest.raises(NonFiniteLoss, match="parameter is not finite after .* epoch 3"):
        fit(
            bad_gradient,
            {"w": jnp.zeros(())},
            (jnp.zeros((2, 1)),),
            optimizer=optax.sgd(1.0),
            epochs=50,
            batch_size=1,
        )


def test_a_second_run_does_not_trace_again():
    traced = []

    def counting(params, *batch):
        traced.append(1)
        return value_and_grad(params, *batch)

    params, data = make()
    for key in range(2):
        fit(counting, params, data, optimizer=ADAM, epochs=2, batch_size=8, key=key)
        assert len(traced) == 2  # a full batch and the rest


def test_an_unhashable_gradient_serves():
    class Unhashable:
        __hash__ = None

        def __call__(self, params, *batch):
            return value_and_grad(params, *batch)

    params, data = make()
    found = fit(
        Unhashable(), params, data, optimizer=ADAM, epochs=4, batch_size=8, key=3
    )
    assert_same_bits(found.params, train().params)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": -1}, InvalidArgument, "`epochs` must be .* 0 or more, but is -1"),
        ({"epochs": 2.5}, InvalidArgument, "`epochs` must be a whole number, .* 2.5"),
        ({"batch_size": 2.5}, InvalidArgument, "`batch_size` must be .* is 2.5"),
        ({"key": "a"}, InvalidArgument, "`key` must be a seed, .* is 'a'"),
        ({"save_every_s": -1}, InvalidArgument, "`save_every_s` must be .* is -1"),
        ({"save_every_s": np.nan}, InvalidArgument, "`save_every_s` must .* is nan"),
        ({"on_interrupt": "retrun"}, UnknownName, "'retrun'.*return"),
        (
            {"early_stopping": EarlyStopping(0)},
            InvalidArgument,
            "`patience` must be a whole number, 1 or more, but is 0",
        ),
        ({"validation": np.ones(3)}, InvalidArgument, r"write \(validation,\)"),
        ({"validation": ()}, ShapeMismatch, "`validation` must be arrays"),
        (
            {"validation": make(3)[1], "metrics": lambda p, x, y: {"bad": x}},
            ShapeMismatch,
            r"`bad` has shape \(3, 2\)",
        ),
    ],
)
def test_wrong_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        train(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "adam"}, "`optimizer` must be an optax transformation"),
        ({"value_and_grad": None}, "`value_and_grad` must be a function"),
        ({"state_path": "/proc/no/state"}, "`state_path` must be a place"),
    ],
)
def test_what_cannot_work_is_refused_before_the_work(options, said):
    params, data = make()
    options = {"value_and_grad": value_and_grad, "optimizer": ADAM} | options
    with pytest.raises(InvalidArgument, match=said):
        fit(options.pop("value_and_grad"), params, data, epochs=1, **options)
