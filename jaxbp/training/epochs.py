"""Epochs as one compiled program: a scan over batches inside a loop over epochs.

The outer loop runs as many epochs as it is told, without recompiling, and ends by
itself at the first non-finite number or when patience is used up. However a run is
cut into calls, and whenever it is resumed, the same program computes every epoch:
that is why a resumed run equals an uninterrupted one bit for bit.

Nothing is donated: the state before a call stays valid, so that Ctrl-C or a NaN loses
no finished epoch. This costs memory for one more copy of parameters and optimiser
state.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from jaxbp.errors import ShapeMismatch, UnknownName, nearest
from jaxbp.scale import Layout
from jaxbp.training.data import Batches, epoch_rows, take
from jaxbp.training.metrics import wide
from jaxbp.training.placement import Holds, step_on
from jaxbp.training.state import EarlyStopping, TrainingState, better_of, is_exhausted
from jaxbp.training.step import Step, ValueAndGrad

Metrics = Callable[..., Mapping[str, jax.Array]]  # (params, *validation) -> scalars

# Step losses that one call can return; it bounds the epochs a call may run.
_STEP_LOSSES = 2**16


class Epochs(NamedTuple):
    """The outcome of one call of the program.

    Attributes:
      state: after the last good epoch.
      run: () int32, epochs run, a bad last one included.
      good: () bool, False when the last epoch met a non-finite loss or parameter.
      losses: (capacity, steps), the loss of each step; the first `run` rows count.
      records: (capacity,) for each history column.
    """

    state: TrainingState
    run: jax.Array
    good: jax.Array
    losses: jax.Array
    records: dict[str, jax.Array]


Program = Callable[[TrainingState, Any, Any, Any], Epochs]


def capacity(batches: Batches) -> int:
    """The most epochs that one call may run."""
    return max(1, min(1024, _STEP_LOSSES // batches.steps))


def epochs_program(
    value_and_grad: ValueAndGrad,
    optimizer: optax.GradientTransformation,
    metrics: Metrics | None,
    batches: Batches,
    stopping: EarlyStopping | None,
    layout: Layout | None = None,
) -> Program:
    """The jitted program(state, data, validation, until) -> Epochs.

    `until` is the epoch to stop before, at most `capacity(batches)` ahead. The program
    of the same arguments is made once, so a second run does not compile again.
    """
    arguments = (value_and_grad, optimizer, metrics, batches, stopping, layout)
    try:
        hash(arguments)
    except TypeError:  # a callable object that cannot be a key
        return _build(*arguments)
    return _build_once(*arguments)


def _build(value_and_grad, optimizer, metrics, batches, stopping, layout):
    step = step_on(value_and_grad, optimizer, layout)
    holds = Holds(layout, optimizer)
    measure = metrics or (lambda params, *v: {"loss": value_and_grad(params, *v)[0]})

    @jax.jit  # traced once, for its shapes and for the loop
    def one_epoch(state, data, validation):
        params, optimizer_state, losses = _run_batches(step, batches, state, data)
        record = {"loss": _mean_over_examples(losses, batches)}
        if validation is not None:
            record |= _measured(measure, params, validation)
        epoch, best = state.epoch + 1, state.best
        if stopping:
            value = _monitored(record, stopping.monitor)
            best = better_of(best, params, value, epoch, stopping.maximise)
        state = TrainingState(params, optimizer_state, state.key, epoch, best)
        return state, losses, record

    @jax.jit
    def program(state, data, validation, until):
        shapes = jax.eval_shape(one_epoch, state, data, validation)
        rows = capacity(batches)
        losses, records = jax.tree.map(
            lambda s: jnp.zeros((rows, *s.shape), s.dtype), shapes[1:]
        )

        def unfinished(so_far):
            ends = is_exhausted(so_far.state, stopping)
            return so_far.good & (so_far.state.epoch < until) & jnp.logical_not(ends)

        def run_one(so_far):
            state, losses, record = one_epoch(so_far.state, data, validation)
            good = _all_finite((losses, state.params))
            state = lax.cond(good, lambda: state, lambda: so_far.state)
            state = holds.state(state)
            put = functools.partial(_put_row, row=so_far.run)
            losses = put(so_far.losses, losses)
            records = jax.tree.map(put, so_far.records, record)
            return Epochs(state, so_far.run + 1, good, losses, records)

        start = Epochs(state, jnp.int32(0), jnp.bool_(True), losses, records)
        outcome = lax.while_loop(unfinished, run_one, start)
        state = holds.state(outcome.state)
        return holds.whole(outcome)._replace(state=state)

    return program


_build_once = functools.lru_cache(maxsize=8)(_build)


def _run_batches(step: Step, batches: Batches, state: TrainingState, data: Any):
    """All updates of an epoch: parameters, optimiser state, losses (steps,)."""
    full, rest = epoch_rows(batches, jax.random.fold_in(state.key, state.epoch))

    def run_batch(carry, rows):
        *carry, loss = step(*carry, *take(data, rows))
        return tuple(carry), loss.astype(wide(loss.dtype))

    carry = (state.params, state.optimizer_state)
    carry, losses = lax.scan(run_batch, carry, full)
    if batches.rest:
        carry, last = run_batch(carry, rest)
        losses = jnp.append(losses, last)
    return *carry, losses


def _mean_over_examples(losses, batches):
    """The mean of (steps,) batch means, each weighted with its batch's size."""
    sizes = np.full(batches.steps, batches.size)
    if batches.rest:
        sizes[-1] = batches.rest
    weights = (sizes / batches.examples).astype(losses.dtype)
    return losses @ weights


def _measured(measure, params, validation):
    found = {f"validation_{k}": v for k, v in measure(params, *validation).items()}
    for name, value in found.items():
        if jnp.shape(value) != ():
            raise ShapeMismatch(
                f"`metrics` must return scalars but `{name.removeprefix('validation_')}"
                f"` has shape {jnp.shape(value)}."
            )
    return {name: jnp.asarray(value) for name, value in found.items()}


def _monitored(record, monitor):
    if monitor not in record:
        raise UnknownName(
            f"early stopping monitors `{monitor}`, which is no column of the history. "
            + nearest(monitor, record)
        )
    return record[monitor]


def _all_finite(tree):
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in floats]))


def _put_row(buffer, value, row):
    return buffer.at[row].set(value)
