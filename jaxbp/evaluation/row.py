"""One line of an evaluation trace, and what an equation says in words."""

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import ir
from ..costs.amount import Range

INFIX = {
    "add": "+", "sub": "−", "mul": "×", "div": "/", "pow": "**", "add_any": "+",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "and": "&", "or": "|", "xor": "^", "rem": "%",
}  # fmt: skip
# Parameters that neither the operands nor the types tell.
TELLING = (
    "axes", "axis", "dimension", "dimensions", "permutation", "start_indices",
    "limit_indices", "strides", "padding_config", "num_keys", "k", "dimension_numbers",
)  # fmt: skip
LONGEST_OPTION = 40  # characters


@dataclass(frozen=True)
class Ref:
    """A value in the trace: its name, its tangent's slot, and the row it is of."""

    name: str
    slot: int | None
    row: int


@dataclass
class TraceRow:
    """One equation of a trace, or one input or output.

    Attributes:
      kind: "input", "equation", "opened" (a loop or branch whose equations follow, one
        level deeper), "step" (a heading among these) or "output".
      operation: name of the primitive or function; "" for inputs and outputs.
      equation: what is computed, in words: "x1 × x2", "dot_general(x, w)".
      names: of the values it gives, one each.
      operands: names of what it reads.
      level: how deep in opened loops and branches it stands.
      source: "file.py:7" of the code it comes from.
      primals, tangents, cotangents: one each per name: an array, or None: zero, or, of
        integers, none.
      differentiable: per name, whether it has a tangent at all.
      flops: of the equation, counted; None where its own equations are counted.
      kept_bytes: what it adds to the tape: residuals that no equation before it keeps.
      carried: per value that it reads, the cotangent that it brings there, or None.
    """

    kind: str
    operation: str
    equation: str
    names: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    level: int = 0
    source: str = ""
    primals: tuple = ()
    tangents: tuple = ()
    cotangents: tuple = ()
    differentiable: tuple[bool, ...] = ()
    flops: Range | None = None
    kept_bytes: int = 0
    carried: list[Any] = field(default_factory=list)
    # What the sweeps and the picture need: the place among the rows, what it gives as
    # slots of the linear program, what it reads (None: a constant), its edges there.
    place: int = field(default=0, repr=False)
    slots: tuple[int | None, ...] = field(default=(), repr=False)
    reads: tuple[Ref | None, ...] = field(default=(), repr=False)
    edges: tuple[int, int] = field(default=(0, 0), repr=False)


def in_words(operation: str, operands, params: dict, avals=()) -> str:
    """An equation's right-hand side."""
    if operation in INFIX and len(operands) == 2:
        return f" {INFIX[operation]} ".join(operands)
    if operation == "dot_general" and _is_matmul(avals, params):
        return " @ ".join(operands)
    if operation == "neg":
        return f"−{operands[0]}"
    if operation == "integer_pow":
        return f"{operands[0]}**{params['y']}"
    options = [f"{n}={_plain(params[n])}" for n in TELLING if params.get(n) is not None]
    options = [option for option in options if len(option) <= LONGEST_OPTION]
    return f"{operation}({', '.join([*operands, *options])})"


def _is_matmul(avals, params: dict) -> bool:
    """Whether a product sums over the last axis of the left, the first of the right."""
    (left, right), batch = params["dimension_numbers"]
    ends = tuple(left) == (len(avals[0].shape) - 1,) and tuple(right) == (0,)
    return ends and not any(batch)


def _plain(value) -> str:
    return repr(value).replace(" ", "")


def constant(value) -> str:
    """How a value that depends on no input is called: its number, or its type."""
    aval = ir.typeof(value)
    if aval.shape or ir.is_tracer(value) or not jnp.issubdtype(aval.dtype, np.number):
        return type_name(aval)
    number = np.asarray(value).item()
    return f"{number if isinstance(number, complex) else float(number):.6g}"


def type_name(aval) -> str:
    """A type in a few characters: f64[3,4]."""
    text = (
        aval.str_short(short_dtypes=True) if hasattr(aval, "str_short") else str(aval)
    )
    return text.removesuffix("[]")
