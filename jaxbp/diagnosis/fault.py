"""What is wrong with one rule at one call, as data."""

from typing import NamedTuple


class Fault(NamedTuple):
    """In what a rule differs.

    Fields:
      what: "value", "not linear", "derivative", or "refused".
      argument, index: the operand and its element; None where it is about none.
      says, right: what the rule gives there, and what is right.
      said: in words: the pattern of the error, or why nobody can tell.
      along: the cotangent that both were pulled back along, in words; "" of a scalar.
      sure: False where values are too coarse to tell who is right.
    """

    what: str
    argument: int | None = None
    index: tuple[int, ...] | None = None
    says: float | complex | None = None
    right: float | complex | None = None
    said: str = ""
    along: str = ""
    sure: bool = True
