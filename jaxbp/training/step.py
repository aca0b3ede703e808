"""One update: loss and gradient from whoever computes them, then the optimiser."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxbp.errors import DtypeMismatch, ShapeMismatch, StructureMismatch
from jaxbp.tree import spelled

ValueAndGrad = Callable[..., tuple[jax.Array, Any]]  # (params, *batch) -> loss, grads
Step = Callable[..., tuple[Any, Any, jax.Array]]


def make_step(
    value_and_grad: ValueAndGrad, optimizer: optax.GradientTransformation
) -> Step:
    """The update as a pure function, to be jitted or scanned.

    Args:
      value_and_grad: (params, *batch) -> (loss, grads): hand-written layers, the
        engine's or JAX's `value_and_grad` of a loss, or anything else.
      optimizer: any optax transformation. It is handed the loss as `value`, which
        some need (`optax.contrib.reduce_on_plateau`).

    Returns:
      step(params, optimizer_state, *batch) -> (params, optimizer_state, loss). When
      called it raises ShapeMismatch or DtypeMismatch for a loss that is no float
      scalar, and StructureMismatch, ShapeMismatch or DtypeMismatch, naming the leaf,
      for gradients that are not shaped like the parameters.
    """
    update = optax.with_extra_args_support(optimizer).update

    def step(params, optimizer_state, *batch):
        loss, grads = loss_and_gradients(value_and_grad(params, *batch))
        check_loss(loss)
        check_gradients(params, grads)
        # optax's Adam (0.2.8) adds float and int32, which strict promotion refuses
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = update(
                grads, optimizer_state, params, value=loss
            )
            params = optax.apply_updates(params, updates)
        return params, optimizer_state, loss

    return step


def loss_and_gradients(found: Any) -> tuple[jax.Array, Any]:
    """What `value_and_grad` returned, unless that is no pair."""
    if isinstance(found, tuple | list) and len(found) == 2:
        return found[0], found[1]
    raise StructureMismatch(
        "`value_and_grad` must return (loss, gradients), but returned a "
        f"{type(found).__name__}. Of a loss, `jaxbp.value_and_grad(loss)` does so; "
        "`jaxbp.grad(loss)` returns the gradients alone."
    )


def check_loss(loss: Any) -> None:
    """Raise unless `loss` is a floating scalar."""
    if jnp.shape(loss) != ():
        raise ShapeMismatch(
            f"the loss must be a scalar but has shape {jnp.shape(loss)}. Take its mean "
            f"over the examples."
        )
    if not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
        raise DtypeMismatch(
            f"the loss must be floating but has dtype {jnp.result_type(loss)}."
        )


def check_gradients(params: Any, grads: Any) -> None:
    """Raise, naming the leaf, unless `grads` has the leaves of `params`."""
    if jax.tree.structure(params) != jax.tree.structure(grads):
        raise StructureMismatch(
            f"the gradients must have the structure of the parameters, "
            f"{spelled(params)}, but have {spelled(grads)}. Does "
            f"`value_and_grad` return (loss, gradients)?"
        )
    leaves = jax.tree_util.tree_leaves_with_path(params)
    for (where, param), grad in zip(leaves, jax.tree.leaves(grads), strict=True):
        name = f"params{jax.tree_util.keystr(where)}"
        _check_equal(ShapeMismatch, name, "shape", jnp.shape(param), jnp.shape(grad))
        _check_equal(DtypeMismatch, name, "dtype", *map(jnp.result_type, (param, grad)))


def _check_equal(error, name, what, expected, found):
    if expected != found:
        raise error(
            f"the gradient of `{name}` must have the parameter's {what} {expected} but "
            f"has {found}."
        )
