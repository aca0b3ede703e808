"""A function of the ecosystem as its users have it, differentiated here and by JAX."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxbp
from tests.transforms.standin import same_values


def agree(function, *args, order=2):
    """Asserts that jaxbp's derivatives are JAX's, in both modes and of order `order`.

    Args:
      function: of pytrees; its floating outputs are weighted and summed to a scalar.
      *args: floating leaves are differentiated, others stay as they are.
      order: 2 adds a pushforward of the gradient.
    """
    leaves, structure = jax.tree.flatten(args)
    moving = [i for i, leaf in enumerate(leaves) if is_floating(leaf)]
    assert moving, "nothing to differentiate"

    def loss(given):
        whole = list(leaves)
        for place, value in zip(moving, given, strict=True):
            whole[place] = value
        outs = jax.tree.leaves(function(*structure.unflatten(whole)))
        return sum(weighted(y) for y in outs if is_floating(y))

    point = [jnp.asarray(leaves[i]) for i in moving]
    found = jax.jit(functools.partial(products, jaxbp, loss, order))(point)
    same_values(found, jax.jit(functools.partial(products, jax, loss, order))(point))


def products(ad, loss, order, x):
    """Value and gradient, a pushforward, and one of the gradient."""
    x_dot = [weights(leaf) for leaf in x]
    if order == 1:
        return ad.value_and_grad(loss)(x), ad.jvp(loss, (x,), (x_dot,))
    return ad.jvp(ad.value_and_grad(loss), (x,), (x_dot,))


def is_floating(value) -> bool:
    return isinstance(value, (float, jax.Array, np.ndarray)) and jnp.issubdtype(
        jnp.result_type(value), jnp.floating
    )


def weighted(y):
    return jnp.sum(y * weights(y))


def weights(value):
    """Fixed numbers, all different, of the shape and dtype of `value`."""
    count = jnp.arange(value.size, dtype=jnp.float64).reshape(value.shape)
    return jnp.cos(2 * count + 1).astype(value.dtype)
