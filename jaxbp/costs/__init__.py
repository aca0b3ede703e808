"""What derivatives cost: flops, transcendental functions, memory traffic, tape bytes.

Counted from traced programs and the linear program, with nothing run. `cost` gives a
report on a function; `flops` a number; `counted` the columns of a study's row.
"""

from .amount import Amount, Range
from .count import amount_of, flops, traced_amount
from .memory import Residual, Tape
from .price import cost, counted
from .report import CostReport, CostRow

__all__ = [
    "Amount",
    "CostReport",
    "CostRow",
    "Range",
    "Residual",
    "Tape",
    "amount_of",
    "cost",
    "counted",
    "flops",
    "traced_amount",
]
