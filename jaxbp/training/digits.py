"""Handwritten digits, from pixels to a trained, saved and reloaded network.

The same network, data and updates, with the gradient by any of three witnesses: the
layers' hand-written backward passes, the engine, or JAX.
"""

import functools
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxbp
from jaxbp import layers, scale
from jaxbp.errors import DataError, InvalidArgument, UnknownName, nearest
from jaxbp.outputs import check_replaced, check_writable
from jaxbp.problems import Split, digits
from jaxbp.scale.layout import is_global
from jaxbp.training.loop import fit
from jaxbp.training.metrics import classifier_metrics, confusion
from jaxbp.training.predict import predict
from jaxbp.training.report import print_digits_report
from jaxbp.training.run import TrainingResult
from jaxbp.training.saved import load, read_notes
from jaxbp.training.state import initial_state
from jaxbp.training.step import ValueAndGrad
from jaxbp.training.tensors import is_tensors

Gradient = Literal["layers", "engine", "jax"]
Precision = Literal["float32", "float64"]
Sharding = Literal["replicated", "tensor", "full"]

PIXELS, CLASSES = 64, 10
LOSS = layers.softmax_cross_entropy


class DigitsOutcome(NamedTuple):
    """A trained digits network.

    Attributes:
      training: what `fit` returned.
      split: the data, inputs (n, 64) from 0 to 1 and labels (n,).
      predicted: (450,) int, the class given to each test image.
      confusion: (10, 10) int, rows the true digit, columns the predicted.
      accuracy: share of the test images that are right.
      saved: the file that holds the state, if any.
    """

    training: TrainingResult
    split: Split
    predicted: np.ndarray
    confusion: np.ndarray
    accuracy: float
    saved: Path | None = None


def train_digits(
    gradient: Gradient = "engine",
    seed: int = 0,
    epochs: int = 50,
    learning_rate: float = 1e-2,
    batch_size: int = 32,
    hidden: tuple[int, ...] = (32,),
    dtype: Precision = "float32",
    save: Path | None = None,
    resume: bool = False,
    report: bool = True,
    progress: bool | None = None,
    mesh: str | None = None,
    sharding: Sharding = "replicated",
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
) -> DigitsOutcome:
    """Train an MLP with Adam to read 8x8 digits, and print how well it does.

    Args:
      gradient: Who computes it: the hand-written layers, jaxbp's engine, or JAX.
      seed: Draws the split, the first parameters and the order of the examples.
      epochs: Passes over the 1,347 training images, those before a resume included.
      learning_rate: Adam's.
      batch_size: Images an update.
      hidden: Units of each hidden layer; (32,) gives 2,410 parameters.
      dtype: Of parameters and inputs; the process's own setting is left alone.
      save: A safetensors file for the state; `predict_digits` reads it again. With
        --mesh, a name without a suffix is a folder that all processes write (Orbax).
      resume: Go on from the file in `save`, bit for bit.
      report: Print figures, the confusion of digits and misread images; --no-report:
        print none of these.
      progress: Show a bar while training; left out, on a terminal only.
      mesh: Devices to train on, as data=4,model=2; one length may be -1, the rest.
      sharding: Of the parameters on the mesh: whole on every device; divided along
        `model`, pairs of products at a time; or divided along `data`.
      coordinator: host:port of the first process; under srun, mpirun, Kubernetes and on
        Cloud TPU not needed, nor are the next two.
      processes: How many there are.
      process_id: Which of them this is, from 0.

    Returns:
      `DigitsOutcome`; of several processes each has it, the first one reports.

    Raises:
      InvalidArgument: `resume` without `save`, settings other than those saved or out
        of range, a `save` that cannot be written or holds a file of another kind.
      DataError: the file to resume from is absent, damaged or foreign.
      UnknownName: no such `gradient`, `dtype` or `sharding`.
      ProcessLost: another process has died or does not answer.
      SystemExit: 143, after SIGTERM, the state saved.
    """
    _check_positive(learning_rate, batch_size, hidden)
    _check_known("gradient", gradient, get_args(Gradient))
    _check_known("sharding", sharding, get_args(Sharding))
    _check_known("dtype", dtype, get_args(Precision))
    if mesh is None:
        check_writable("save", save)
        _check_alone(sharding, coordinator, processes, process_id)
        others = scale.ALONE
    else:
        others = scale.connect(coordinator, processes, process_id)
    if resume:
        _check_resumable(save)
    else:
        check_replaced("save", save, is_tensors)
    hidden = tuple(hidden)  # a key of the caches below
    with _precision(dtype):
        split = digits(seed, dtype=np.dtype(dtype))
        model = _model(hidden)
        first_key, order_key = jax.random.split(jax.random.key(seed))
        params = model.init(first_key, jnp.dtype(dtype))
        devices = None if mesh is None else scale.make_mesh(mesh)
        training = fit(
            _value_and_grad(gradient, hidden),
            params,
            split.train,
            optimizer=_adam(learning_rate),
            epochs=epochs,
            batch_size=batch_size,
            key=order_key,
            validation=split.test,
            metrics=_metrics(hidden),
            state_path=save,
            resume=resume,
            notes=_notes(seed, hidden, dtype),
            progress=progress,
            mesh=devices,
            param_specs=_specs(sharding, params, devices),
            processes=others,
        )
        outcome = _test(model, training, split, others)._replace(saved=save)
    if report and others.first:
        print_digits_report(outcome, gradient, save)
    return outcome


# The same in silence, for studies and tests.
fit_digits = functools.partial(train_digits, report=False)


def _test(model, training, split, others):
    params = training.params
    if is_global(jax.tree.leaves(params)[0]):
        params = jax.tree.map(others.leaf, params)
    predicted = _classify(model, params, split.test.inputs)
    truth = split.test.targets
    counts = confusion(jnp.asarray(predicted), jnp.asarray(truth), CLASSES)
    accuracy = float(np.mean(predicted == truth))
    return DigitsOutcome(training, split, predicted, np.asarray(counts), accuracy)


def predict_digits(path: str | Path, images: Any) -> np.ndarray:
    """The digit in each image, by a network that `train_digits` saved.

    Args:
      path: the file given as `save`.
      images: (n, 64) or (n, 8, 8), pixels from 0 to 1.

    Returns:
      (n,) int, the predicted classes.

    Raises:
      DataError: the file is absent, damaged, or holds something else.
      ShapeMismatch: the images are of another size.
    """
    notes = read_notes(path)
    if notes.get("task") != "digits":
        raise DataError(f"{path} holds no digits network: its notes are {notes}.")
    model = _model(tuple(notes["hidden"]))
    with _precision(notes["dtype"]):
        dtype = np.dtype(notes["dtype"])
        like = jax.eval_shape(lambda: _first_state(model, dtype))
        params = load(path, like).tree.params
        images = np.asarray(images, dtype)
        return _classify(model, params, images.reshape(len(images), -1))


def _specs(sharding, params, mesh):
    if sharding == "tensor":
        return scale.tensor_sharded(params, mesh)
    return scale.fully_sharded(params, mesh) if sharding == "full" else None


def _check_alone(sharding, *of_processes):
    if sharding != "replicated" or any(given is not None for given in of_processes):
        raise InvalidArgument(
            "`sharding`, `coordinator`, `processes` and `process_id` speak of a mesh: "
            "give `mesh`, too, such as data=-1."
        )


def _check_resumable(save):
    if save is None:
        raise InvalidArgument("`resume` needs the file of an earlier run in `save`.")
    if not Path(save).exists():
        raise DataError(f"there is no {save} to resume from. Run without `resume`.")


def _check_positive(learning_rate, batch_size, hidden):
    if not 0 < learning_rate < float("inf"):
        raise InvalidArgument(
            f"`learning_rate` must be a number above 0, but is {learning_rate}."
        )
    for name, sizes in (("batch_size", (batch_size,)), ("hidden", hidden)):
        if any(size < 1 for size in sizes):
            raise InvalidArgument(f"`{name}` must be 1 or more, but is {min(sizes)}.")


def _check_known(name, value, known):
    if value not in known:
        raise UnknownName(f"`{name}` is `{value}`. {nearest(str(value), known)}")


def _precision(dtype: str) -> AbstractContextManager:
    _check_known("dtype", dtype, get_args(Precision))
    return jax.enable_x64(dtype == "float64")


def _notes(seed, hidden, dtype):
    """What decides data and network; a resumed run must agree on it."""
    return {"task": "digits", "seed": seed, "hidden": list(hidden), "dtype": dtype}


def _first_state(model, dtype):
    key = jax.random.key(0)
    return initial_state(model.init(key, dtype), _adam(0.0), key)


def _classify(model, params, inputs):
    return np.asarray(predict(model.apply, params, inputs).argmax(axis=1))


# The same objects for the same settings, so that another seed does not compile again.
@functools.cache
def _model(hidden: tuple[int, ...]) -> layers.Layer:
    return layers.mlp([PIXELS, *hidden, CLASSES], activation="tanh")


@functools.cache
def _value_and_grad(gradient: Gradient, hidden: tuple[int, ...]) -> ValueAndGrad:
    model = _model(hidden)
    if gradient == "layers":
        return layers.value_and_grad(model, LOSS)
    transform = jaxbp.value_and_grad if gradient == "engine" else jax.value_and_grad
    return transform(layers.loss_fn(model, LOSS))


@functools.cache
def _metrics(hidden: tuple[int, ...]):
    return classifier_metrics(_model(hidden).apply, LOSS.apply)


@functools.cache
def _adam(learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(learning_rate)
