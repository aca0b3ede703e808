"""What "stands in for JAX" means: one program, run with both, gives the same or fails
the same.

A program is a function of `ad`, a module with `grad`, `vjp`, ...: jax or jaxbp.
"""

import dataclasses

import jax
import numpy as np

import jaxbp

TOLERANCE = {  # relative to max(1, |x|): a few roundings of a short program
    "float64": 1e-12,
    "complex128": 1e-12,
    "float32": 1e-5,
    "complex64": 1e-5,
    "float16": 1e-2,
    "bfloat16": 4e-2,
}


class Programs(list):
    """The programs of a test file; used as a decorator it adds one."""

    def __call__(self, program):
        self.append(program)
        return program


def same(program) -> None:
    """Asserts that `program` gives with jaxbp what it gives with jax."""
    same_values(program(jaxbp), program(jax))


def refused(program) -> None:
    """Asserts that `program` raises with jaxbp what it raises with jax."""
    expected, came = outcome(program, jax), outcome(program, jaxbp)
    assert isinstance(expected, Exception), f"jax gives {expected!r}"
    assert isinstance(came, caught_as(expected)), f"{came!r} for {expected!r}"


def caught_as(error: Exception) -> type:
    """The class by which a program can name jax's error in an `except`."""
    known = [c for c in vars(jax.errors).values() if isinstance(c, type)]
    return next(
        c for c in type(error).__mro__ if c in known or c.__module__ == "builtins"
    )


def outcome(program, ad):
    """What the program gives, or the exception that it raises."""
    try:
        return program(ad)
    except Exception as error:
        return error


def same_values(came, expected) -> None:
    """Asserts equal structures, types, and values up to rounding."""
    assert jax.tree.structure(came) == jax.tree.structure(expected)
    leaves, _ = jax.tree_util.tree_flatten_with_path(came)
    for (path, x), y in zip(leaves, jax.tree.leaves(expected), strict=True):
        same_leaf(jax.tree_util.keystr(path), x, y)


def same_leaf(path, x, y) -> None:
    if isinstance(y, (float, complex)) and isinstance(x, jax.Array):
        y = jax.numpy.asarray(y)  # a number that passes through unchanged
    if not isinstance(y, (jax.Array, np.ndarray, np.generic)):
        assert type(x) is type(y) and (x == y or x is y), (path, x, y)
        return
    assert kind(x) == kind(y), (path, kind(x), kind(y))
    if jax.dtypes.issubdtype(y.dtype, jax.dtypes.prng_key):
        x, y = jax.random.key_data(x), jax.random.key_data(y)
    if y.dtype == jax.dtypes.float0:
        return
    wide = np.complex128 if np.iscomplexobj(y) else np.float64
    tolerance = TOLERANCE.get(str(y.dtype), 0)
    x, y = np.asarray(x).astype(wide), np.asarray(y).astype(wide)
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def kind(x) -> tuple:
    """Shape, dtype and weakness."""
    weak = isinstance(x, jax.Array) and jax.typeof(x).weak_type
    return x.shape, x.dtype, weak


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Parameters:
    """A registered class with a field that is not an array."""

    w: jax.Array
    b: jax.Array
    name: str = dataclasses.field(metadata={"static": True})
