"""`fit`: train until the epochs are done, patience is used up, or something breaks."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxbp.errors import InvalidArgument
from jaxbp.interrupts import last_words
from jaxbp.outputs import check_writable
from jaxbp.training.data import count_examples, plan_batches
from jaxbp.training.epochs import Metrics, epochs_program
from jaxbp.training.progress import EpochBar
from jaxbp.training.run import NonFiniteLoss, Run, TrainingResult
from jaxbp.training.saved import load, save
from jaxbp.training.state import EarlyStopping, TrainingState, initial_state
from jaxbp.training.step import ValueAndGrad

Callback = Callable[[TrainingState, dict[str, float]], bool | None]


def fit(
    value_and_grad: ValueAndGrad,
    params: Any,
    data: Any,
    *,
    optimizer: optax.GradientTransformation,
    epochs: int,
    batch_size: int | None = 32,
    key: jax.Array | int = 0,
    validation: Any = None,
    metrics: Metrics | None = None,
    early_stopping: EarlyStopping | None = None,
    shuffle: bool = True,
    last_batch: Literal["keep", "drop"] = "keep",
    callback: Callback | None = None,
    state_path: str | os.PathLike[str] | None = None,
    resume: bool = False,
    save_every_s: float = 10.0,
    notes: Mapping[str, Any] | None = None,
    on_interrupt: Literal["raise", "return"] = "raise",
    progress: bool | None = None,
) -> TrainingResult:
    """Train `params` on `data`; whole epochs run inside one compiled program.

    Args:
      value_and_grad: (params, *batch) -> (loss, grads), pure: from hand-written
        layers, `jaxbp.value_and_grad`, `jax.value_and_grad`, or your own.
      params: a pytree of floating arrays.
      data: a tuple of pytrees of arrays, all with one number of examples in front,
        such as (inputs (n, ...), labels (n,)). It is put on the device once.
      optimizer: any optax transformation.
      epochs: in all, those before a resume included.
      batch_size: examples an update; None takes all.
      key: a random key or a seed; draws the order of the examples.
      validation: a tuple like `data`, measured whole after every epoch.
      metrics: (params, *validation) -> dict of scalars, the history's columns
        `validation_...`. The default is the loss of `value_and_grad`.
      early_stopping: ends the run and returns the best epoch's parameters.
      shuffle: a new order every epoch.
      last_batch: "keep" makes a smaller batch of the examples left over, "drop" leaves
        them out.
      callback: called after every epoch with the state and the epoch's record; return
        True to stop. The host then waits for every epoch; without it small epochs run
        many to a call.
      state_path: where state and history are saved: every `save_every_s` seconds, at
        the end, on Ctrl-C and on a non-finite loss.
      resume: continue from `state_path` if that file exists.
      notes: settings stored with the state; on resume they must be the same.
      on_interrupt: after Ctrl-C "raise" KeyboardInterrupt again, or "return" what was
        reached, the state saved in both cases. Ctrl-C acts at the end of the call in
        progress (about 0.2 s, or one epoch where that is longer).
      progress: show a bar; None shows it on a terminal only.

    Returns:
      `TrainingResult`: parameters, state, history, why it ended, and times.

    Raises:
      NonFiniteLoss: a loss or parameter became NaN or Inf; names epoch and step and
        carries the last good state.
      ShapeMismatch, DtypeMismatch, StructureMismatch: examples, loss or gradients
        do not fit; names the leaf.
      InvalidArgument: sizes out of range, or notes that differ on resume.
      DataError: the file to resume from is damaged or foreign.

    Cost: one call of `value_and_grad` and one update a batch. Two copies of parameters
    and optimiser state are alive, three under early stopping.
    """
    _check_parts(value_and_grad, optimizer)
    check_writable("state_path", state_path)
    if epochs < 0:
        raise InvalidArgument(f"`epochs` must be 0 or more but is {epochs}.")
    if early_stopping and early_stopping.patience < 1:
        raise InvalidArgument(
            f"`patience` must be 1 or more but is {early_stopping.patience}."
        )
    data, validation = _on_device("data", data), _on_device("validation", validation)
    batches = plan_batches(data, batch_size, shuffle, last_batch)
    state = initial_state(params, optimizer, key, early_stopping)
    history = {}
    if resume and state_path is not None and Path(state_path).exists():
        state, history = _load(state_path, state, notes)
    program = epochs_program(
        value_and_grad, optimizer, metrics, batches, early_stopping
    )
    run = Run(program, data, validation, batches, early_stopping, state, history)

    def save_run():
        if state_path is not None:
            save(state_path, run.state, run.history(), notes)

    def finish(stopped):
        save_run()
        return run.result(stopped)

    held = [f"{state_path} holds the state saved last."] if state_path else []
    try:
        with last_words(*held), EpochBar(epochs, run.epoch, progress) as bar:
            stopped = _advance(run, epochs, bar, callback, save_run, save_every_s)
    except NonFiniteLoss as error:
        error.result = finish("non-finite")
        raise
    except KeyboardInterrupt as interrupt:
        result = finish("interrupted")
        if on_interrupt == "return":
            return result
        interrupt.add_note(_where_saved(state_path, run.epoch))
        raise
    return finish(stopped)


def _advance(run, epochs, bar, callback, save_run, save_every_s):
    """Run to the end; returns why it ended."""
    run.compile()
    saved_at_s = 0.0
    while run.epoch < epochs and not run.is_exhausted():
        record = run.advance(epochs, one_epoch=callback is not None)
        bar.update(run.epoch, record, run.examples_per_s())
        if callback is not None and callback(run.state, record):
            return "callback"
        if run.run_s - saved_at_s >= save_every_s:
            save_run()
            saved_at_s = run.run_s
    return "early" if run.is_exhausted() else "finished"


def _on_device(name, examples):
    if examples is None:
        return None
    if not isinstance(examples, tuple | list):
        raise InvalidArgument(
            f"`{name}` must be a tuple such as (inputs, labels) but is a "
            f"{type(examples).__name__}. For one array write ({name},)."
        )
    examples = tuple(jax.tree.map(jnp.asarray, part) for part in examples)
    count_examples(name, examples)
    return examples


def _load(path, like, notes):
    state, history, found = load(path, like)
    differing = [k for k, v in (notes or {}).items() if found.get(k) != v]
    if differing:
        name = differing[0]
        raise InvalidArgument(
            f"{path} was saved with `{name}` {found.get(name)!r}, but this run has "
            f"{notes[name]!r}. Resume with the same settings, or choose another file."
        )
    return state, history


def _where_saved(path, epoch):
    if path is None:
        return (
            f"Nothing was saved of {epoch} epochs: there was no `state_path` (on the "
            "command line: --save FILE)."
        )
    return (
        f"{path} holds the state after epoch {epoch}; the same call with `resume` goes "
        "on from there (on the command line: --resume)."
    )


def _check_parts(value_and_grad, optimizer):
    if not callable(value_and_grad):
        raise InvalidArgument(
            "`value_and_grad` must be a function, (params, *batch) -> (loss, grads), "
            f"but is a {type(value_and_grad).__name__}."
        )
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise InvalidArgument(
            "`optimizer` must be an optax transformation such as `optax.adam(1e-3)`, "
            f"but is {optimizer!r}."
        )
