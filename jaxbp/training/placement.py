"""Training state and data on a mesh: what lies where, in `fit`'s terms."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from jaxbp.errors import InvalidArgument
from jaxbp.scale import Layout
from jaxbp.scale.at_use import gathered_at_use
from jaxbp.scale.layout import placed
from jaxbp.scale.specs import WHOLE
from jaxbp.training.state import (
    EarlyStopping,
    TrainingState,
    as_key,
    initial_state,
)
from jaxbp.training.step import Step, ValueAndGrad, make_step


def layout_of(
    mesh: Mesh | None, data_axis: str, params: Any, specs: Any
) -> Layout | None:
    """Where training lies; None on one device.

    Raises:
      InvalidArgument: specs without a mesh, or as `Layout.of`.
    """
    if mesh is None:
        if specs is not None:
            raise InvalidArgument("`param_specs` needs the mesh they speak of, `mesh`.")
        return None
    return Layout.of(mesh, data_axis, params, specs)


def step_on(
    value_and_grad: ValueAndGrad,
    optimizer: optax.GradientTransformation,
    layout: Layout | None,
) -> Step:
    """The update for parameters and batches that lie as the layout says; on one device
    `make_step` of the same."""
    if layout is None:
        return make_step(value_and_grad, optimizer)
    if layout.gathers:
        value_and_grad = gathered_at_use(value_and_grad, layout)
    step = make_step(value_and_grad, optimizer)

    def held(params, optimizer_state, *batch):
        params, state, loss = step(params, optimizer_state, *layout.hold_batch(batch))
        return layout.hold_tree(params, layout.like(params)), state, loss

    return held


class Holds(NamedTuple):
    """Keeps what a program makes where it is to lie; on one device, nothing."""

    layout: Layout | None
    optimizer: optax.GradientTransformation

    def state(self, state: TrainingState) -> TrainingState:
        """The state, each leaf where it was."""
        if self.layout is None:
            return state
        specs = state_specs(state, self.layout, self.optimizer)
        return self.layout.hold_tree(state, specs)

    def whole(self, tree: Any) -> Any:
        """All leaves whole on every device."""
        layout = self.layout
        return tree if layout is None else jax.tree.map(layout.hold, tree)


def state_specs(
    state: TrainingState, layout: Layout, optimizer: optax.GradientTransformation
) -> TrainingState:
    """Per leaf of a state its spec: what is shaped like the parameters lies like them,
    the rest is whole on every device.

    Args:
      state: of arrays or types.
    """
    params = layout.like(state.params)
    of_optimizer = optax.tree_map_params(
        optimizer,
        lambda leaf, spec: spec if jnp.ndim(leaf) >= len(spec) else WHOLE,
        state.optimizer_state,
        params,
        transform_non_params=lambda leaf: WHOLE,
    )
    whole: Any = WHOLE
    best = state.best and state.best._replace(params=params, value=whole, epoch=whole)
    return TrainingState(params, of_optimizer, whole, whole, best)


def first_state(
    params: Any,
    optimizer: optax.GradientTransformation,
    key: jax.Array | int,
    stopping: EarlyStopping | None,
    layout: Layout | None,
) -> tuple[TrainingState, Any]:
    """The state before the first epoch, and the specs of its leaves; None on one
    device.

    On a mesh every parameter goes from the host to where it lies, and the optimiser's
    state is made there.
    """
    if layout is None:
        return initial_state(params, optimizer, key, stopping), None
    key = as_key(key)
    leaves, treedef = jax.tree.flatten(params)
    pairs = zip(leaves, layout.leaves, strict=True)
    params = treedef.unflatten([layout.place(leaf, spec) for leaf, spec in pairs])
    key = layout.place(key)

    def make(params, key):
        return initial_state(params, optimizer, key, stopping)

    types = jax.eval_shape(make, params, key)
    specs = state_specs(types, layout, optimizer)
    shardings = jax.tree.map(layout.sharding, specs, is_leaf=_is_spec)
    return jax.jit(make, out_shardings=shardings)(params, key), specs


def place_state(state: TrainingState, specs: Any, layout: Layout | None):
    """A state of host arrays, as it was read from a file, on the mesh."""
    if layout is None:
        return state
    leaves, treedef = jax.tree.flatten(state)
    found = jax.tree.leaves(specs, is_leaf=_is_spec)
    return treedef.unflatten(
        [
            placed(leaf, layout.sharding(spec))
            for leaf, spec in zip(leaves, found, strict=True)
        ]
    )


def _is_spec(value) -> bool:
    return isinstance(value, PartitionSpec)
