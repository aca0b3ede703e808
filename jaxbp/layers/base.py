"""What a layer is: three pure functions on pytrees, and the checks at their door.

    init(key, dtype=None)               -> params
    forward(params, x)                  -> y, residuals
    backward(params, residuals, y_bar)  -> params_bar, x_bar

`backward` is written by hand from the mathematics; nothing here differentiates.
Parameters of one layer are a dict (`{"W": ..., "b": ...}`, `{}` where there are
none), of a composition a tuple with one entry per part. Residuals are a tuple of
arrays, and of `Static` values where a shape must be remembered. Both are pytrees,
so each of the three functions can be jitted by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxbp.errors import (
    DtypeMismatch,
    InvalidArgument,
    ShapeMismatch,
    StructureMismatch,
)
from jaxbp.layers.initial import Initialiser

Params = Any  # a pytree of arrays
Spec = Mapping[str, tuple[tuple[int, ...], Initialiser]]  # name: (shape, initialiser)


@dataclass(frozen=True, eq=False)
class Layer:
    """A network, or a part of one, as pure functions.

    Attributes:
      name: what error messages call it.
      init: (key, dtype=None) -> params. `dtype` None is JAX's default float.
      forward: (params, x) -> (y, residuals).
      backward: (params, residuals, y_bar) -> (params_bar, x_bar). `params_bar` has
        the structure of `params`; `x_bar` is None where x is an array of integers.
        Under `jax.jit` an `x_bar` that is not used costs nothing.
      plain: (params, x) -> y, where that is simpler than `forward` without its
        residuals; None where it is not.

    A layer compares and hashes by identity: it can be a static argument of jit.
    """

    name: str
    init: Callable[..., Params]
    forward: Callable[[Params, Any], tuple[Any, tuple]]
    backward: Callable[[Params, tuple, Any], tuple[Params, Any]]
    plain: Callable[[Params, Any], Any] | None = None

    def __repr__(self) -> str:
        return f"Layer({self.name!r})"

    def apply(self, params: Params, x: Any) -> Any:
        """The output alone: the function that other witnesses differentiate."""
        return self.plain(params, x) if self.plain else self.forward(params, x)[0]


@jax.tree_util.register_static
@dataclass(frozen=True)
class Static:
    """A residual that is no array (a shape, a length): a pytree without leaves."""

    value: Any


def make_layer(
    name: str,
    spec: Spec,
    forward: Callable,
    backward: Callable,
    *,
    plain: Callable | None = None,
    trailing: tuple = (),
    rank: int | None = None,
    integer: bool = False,
) -> Layer:
    """A `Layer` whose parameters are initialised and whose inputs are checked.

    Args:
      spec: shape and initialiser of each parameter.
      forward, backward, plain: as in `Layer`; they see checked arrays only.
      trailing: the last axes `x` must have: an int is a size, a str the name of an
        axis of any size.
      rank: the number of axes of `x`; None allows any leading axes.
      integer: whether `x` holds integers (indices) instead of floats.
    """

    def init(key, dtype=None):
        keys = jax.random.split(key, max(1, len(spec)))
        dtype = jnp.dtype(float) if dtype is None else dtype
        dtype = jax.dtypes.canonicalize_dtype(dtype)
        return {
            label: initialise(k, shape, dtype)
            for k, (label, (shape, initialise)) in zip(keys, spec.items(), strict=False)
        }

    def checked(function):
        def call(params, x):
            check_params(name, params, spec)
            x = jnp.asarray(x)
            check_dtype(name, params, x, integer)
            check_shape(name, x, trailing, rank)
            return function(params, x)

        return call

    return Layer(name, init, checked(forward), backward, plain and checked(plain))


def check_params(name: str, params: Params, spec: Spec) -> None:
    """Raise unless `params` is a dict with the names and shapes of `spec`."""
    if not isinstance(params, Mapping) or set(params) != set(spec):
        came = sorted(params) if isinstance(params, Mapping) else type(params).__name__
        raise StructureMismatch(
            f"`params` of {name} must be a dict with the keys {sorted(spec)}, but is "
            f"{came}. Make it with the layer's own `init`."
        )
    for label, (shape, _) in spec.items():
        if jnp.shape(params[label]) != shape:
            raise ShapeMismatch(
                f"`{label}` of {name} must have shape {shape}, but has shape "
                f"{jnp.shape(params[label])}. Make it with the layer's own `init`."
            )


def check_dtype(name: str, params: Params, x: jax.Array, integer: bool) -> None:
    """Raise unless `x` is of the kind the layer reads, and of its parameters' dtype."""
    kind = jnp.integer if integer else jnp.floating
    if not jnp.issubdtype(x.dtype, kind):
        raise DtypeMismatch(
            f"`x` of {name} must be {'integer' if integer else 'floating'}, but has "
            f"dtype {x.dtype}. Convert it with x.astype(...)."
        )
    wrong = [k for k, p in params.items() if p.dtype != x.dtype and not integer]
    if wrong:
        raise DtypeMismatch(
            f"`x` of {name} must have the dtype of its parameters, but has {x.dtype} "
            f"and `{wrong[0]}` has {params[wrong[0]].dtype}. Convert one of them; "
            "layers never widen a dtype silently."
        )


def check_shape(name: str, x: jax.Array, trailing: tuple, rank: int | None) -> None:
    """Raise unless the last axes of `x` are `trailing` and it has `rank` axes."""
    last = x.shape[max(0, x.ndim - len(trailing)) :]
    fits = len(last) == len(trailing) and all(
        isinstance(want, str) or want == got
        for want, got in zip(trailing, last, strict=True)
    )
    if not fits or rank not in (None, x.ndim):
        lead = ("batch",) * (rank - len(trailing)) if rank else ("...",)
        want = ", ".join(str(axis) for axis in (*lead, *trailing))
        raise ShapeMismatch(
            f"`x` of {name} must have shape ({want}), but has shape {x.shape}."
        )


def check_size(owner: str, **sizes: int) -> None:
    """Raise unless every size is a positive integer."""
    for label, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise InvalidArgument(
                f"`{label}` of {owner} must be an integer of at least 1, "
                f"but is {size!r}."
            )


def lift(vector: jax.Array, rank: int) -> jax.Array:
    """`vector` with leading axes of size 1, so that it broadcasts over a batch."""
    return lax.expand_dims(vector, range(rank - vector.ndim))


def outer_sum(x: jax.Array, y_bar: jax.Array) -> jax.Array:
    """Sum over all leading axes of x^T y_bar: (..., n), (..., m) -> (n, m)."""
    leading = tuple(range(x.ndim - 1))
    return lax.dot_general(x, y_bar, ((leading, leading), ((), ())))


def batch_sum(y_bar: jax.Array, kept: int = 1) -> jax.Array:
    """Sum over all axes but the last `kept`: the transpose of `lift`."""
    return y_bar.sum(tuple(range(y_bar.ndim - kept)))
