"""`fit`: train until the epochs are done, patience is used up, or something breaks."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jaxbp import settings
from jaxbp.errors import InvalidArgument, UnknownName, nearest
from jaxbp.interrupts import last_words
from jaxbp.outputs import check_replaced
from jaxbp.scale import ALONE, Processes, make_mesh
from jaxbp.scale.signals import Terminated, noted
from jaxbp.training.data import count_examples, plan_batches
from jaxbp.training.epochs import Metrics, epochs_program
from jaxbp.training.placement import first_state, layout_of
from jaxbp.training.progress import EpochBar
from jaxbp.training.rounds import Rounds
from jaxbp.training.run import NonFiniteLoss, Run, TrainingResult
from jaxbp.training.state import EarlyStopping, TrainingState
from jaxbp.training.step import ValueAndGrad
from jaxbp.training.store import LONG, Store
from jaxbp.training.tensors import is_tensors

OnInterrupt = Literal["raise", "return"]
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
    on_interrupt: OnInterrupt = "raise",
    progress: bool | None = None,
    mesh: Mesh | str | None = None,
    data_axis: str = "data",
    param_specs: Any = None,
    processes: Processes | None = None,
) -> TrainingResult:
    """Train `params` on `data`; whole epochs run inside one compiled program.

    Args:
      value_and_grad: (params, *batch) -> (loss, grads), pure: from hand-written
        layers, `jaxbp.value_and_grad`, `jax.value_and_grad`, or your own.
      params: a pytree of floating arrays.
      data: a tuple of pytrees of arrays, all with one number of examples in front,
        such as (inputs (n, ...), labels (n,)). It is put on the device once; on a mesh
        every process gives the same arrays and places its own devices' examples.
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
        the end, on Ctrl-C, on SIGTERM and on a non-finite loss. With `mesh`, a path
        without a suffix is a folder that Orbax writes (extra `scale`), each process its
        part, and that can be resumed on another mesh, by another number of processes;
        one with a suffix is one safetensors file, gathered by the first process.
      resume: continue from `state_path` if that file exists.
      notes: settings stored with the state; on resume they must be the same.
      on_interrupt: after Ctrl-C "raise" KeyboardInterrupt again, or "return" what was
        reached, the state saved in both cases. Ctrl-C acts at the end of the call in
        progress (about 0.2 s, or one epoch where that is longer).
      progress: show a bar; None shows it on a terminal only.
      mesh: devices to train on, of all processes (`jax.make_mesh`,
        `jaxbp.scale.make_mesh`), or such as "data=4,model=2". What is computed is the
        same; the compiler divides it.
      data_axis: the mesh axis along which batches and data are divided. `batch_size`
        must be a multiple of its length.
      param_specs: a tree of `PartitionSpec` like the parameters, or its beginning; None
        leaves them whole on every device. A parameter divided along `data_axis`
        (`jaxbp.scale.fully_sharded`) is gathered for each use of it, and its gradient
        scattered; along other axes the compiler divides the products
        (`jaxbp.scale.tensor_sharded`). The optimiser's state lies like the parameters.
      processes: what this process knows of the others; JAX's own if left out.

    Returns:
      `TrainingResult`: parameters, state, history, why it ended, and times.

    Raises:
      NonFiniteLoss: a loss or parameter became NaN or Inf; names epoch and step and
        carries the last good state.
      ShapeMismatch, DtypeMismatch, StructureMismatch: examples, loss or gradients
        do not fit; names the leaf.
      InvalidArgument: sizes out of range or no whole numbers, a key that is none,
        notes that differ on resume, or, without
        `resume`, a `state_path` where a file of another kind stands.
      UnknownName: of `last_batch` or `on_interrupt`.
      DataError: the file to resume from is damaged or foreign.
      ProcessLost: another process of the run has died or does not answer.
      SystemExit: 143, after SIGTERM, the state saved.

    Cost: one call of `value_and_grad` and one update a batch. Two copies of parameters
    and optimiser state are alive, three under early stopping.
    """
    _check_parts(value_and_grad, optimizer)
    epochs = settings.whole("epochs", epochs)
    if early_stopping:
        settings.whole("patience", early_stopping.patience, 1)
    _check_interrupts(on_interrupt, save_every_s)
    if isinstance(mesh, str):
        mesh = make_mesh(mesh)
    layout = layout_of(mesh, data_axis, params, param_specs)
    if processes is None:
        processes = ALONE if layout is None else Processes.current()
    if not resume:
        check_replaced("state_path", state_path, is_tensors)
    store = Store(state_path, layout, processes, notes)
    data, batches = _placed("data", data, layout, batch_size, shuffle, last_batch)
    validation = _on_device("validation", validation, layout)
    state, specs = first_state(params, optimizer, key, early_stopping, layout)
    history = {}
    if resume and store.exists():
        state, history = _load(store, state, specs)
    program = epochs_program(
        value_and_grad, optimizer, metrics, batches, early_stopping, layout
    )
    run = Run(
        program, data, validation, batches, early_stopping, state, history, processes
    )

    def finish(stopped):
        store.save(run.state, run.history())
        return run.result(stopped)

    held = [f"{state_path} holds the state saved last."] if state_path else []
    saves = state_path is not None
    try:
        with (
            last_words(*held),
            noted(ctrl_c=processes.count > 1, terminated=saves) as wish,
            EpochBar(epochs, run.epoch, progress if processes.first else False) as bar,
        ):
            rounds = Rounds(run, processes, wish, save_every_s if saves else None)
            stopped = _advance(rounds, epochs, bar, callback, store)
    except NonFiniteLoss as error:
        error.result = finish("non-finite")
        raise
    except KeyboardInterrupt as interrupt:
        result = finish("interrupted")
        if on_interrupt == "return":
            return result
        interrupt.add_note(_where_saved(state_path, run.epoch))
        raise
    result = finish(stopped)
    if stopped == "terminated":
        raise Terminated(_where_saved(state_path, run.epoch))
    return result


def _advance(rounds, epochs, bar, callback, store):
    """Run to the end; returns why it ended."""
    run = rounds.run
    run.compile()
    rounds.processes.barrier("compiled", LONG)  # one may have a slower host
    while run.epoch < epochs and not run.is_exhausted():
        plan = rounds.plan(one_epoch=callback is not None)
        if plan.saves:
            store.save(run.state, run.history())
        if plan.stopped == "interrupted":
            raise KeyboardInterrupt
        if plan.stopped:
            return plan.stopped
        record = run.advance(epochs, plan.ahead)
        bar.update(run.epoch, record, run.examples_per_s())
        if callback is not None and callback(run.state, record):
            return "callback"
    return "early" if run.is_exhausted() else "finished"


def _placed(name, data, layout, batch_size, shuffle, last_batch):
    """Data on the device or the mesh, and how epochs walk over it."""
    _check_examples(name, data)
    batches = plan_batches(tuple(data), batch_size, shuffle, last_batch)
    if layout is None:
        return _on_device(name, data, None), batches
    layout.check_batch(batches.size)
    return layout.place_examples(tuple(data)), batches


def _on_device(name, examples, layout):
    if examples is None:
        return None
    _check_examples(name, examples)
    if layout is not None:
        return layout.place_whole(tuple(examples))
    return tuple(jax.tree.map(jnp.asarray, part) for part in examples)


def _check_examples(name, examples):
    if not isinstance(examples, tuple | list):
        raise InvalidArgument(
            f"`{name}` must be a tuple such as (inputs, labels) but is a "
            f"{type(examples).__name__}. For one array write ({name},)."
        )
    count_examples(name, tuple(examples))


def _load(store, like, specs):
    state, history, found = store.load(like, specs)
    differing = [k for k, v in store.notes.items() if found.get(k) != v]
    if differing:
        name = differing[0]
        raise InvalidArgument(
            f"{store.path} was saved with `{name}` {found.get(name)!r}, but this run "
            f"has {store.notes[name]!r}. Resume with the same settings, or choose "
            "another file."
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


def _check_interrupts(on_interrupt, save_every_s):
    known = get_args(OnInterrupt)
    if on_interrupt not in known:
        hint = nearest(str(on_interrupt), known)
        raise UnknownName(f"`on_interrupt` is {on_interrupt!r}. {hint}")
    if not (isinstance(save_every_s, int | float) and save_every_s >= 0):
        raise InvalidArgument(
            f"`save_every_s` must be a number of seconds, 0 or more, but is "
            f"{save_every_s!r}."
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
