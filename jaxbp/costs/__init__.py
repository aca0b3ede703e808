"""What derivatives cost: flops, transcendental functions, memory traffic, tape bytes.

Counted from traced programs and the linear program, with nothing run. `cost` gives a
report on a function, `tape` one on what reverse mode keeps; `flops` a number;
`counted` the columns of a study's row.
"""

from .amount import Amount, Range
from .count import amount_of, flops, traced_amount
from .memory import Residual, Tape
from .price import cost, counted
from .report import CostReport, CostRow
from .tape_report import TapeChange, TapeDiff, TapeReport, TapeRow
from .taped import tape
from .timeline import TapeStep

__all__ = [
    "Amount",
    "CostReport",
    "CostRow",
    "Range",
    "Residual",
    "Tape",
    "TapeChange",
    "TapeDiff",
    "TapeReport",
    "TapeRow",
    "TapeStep",
    "amount_of",
    "cost",
    "counted",
    "flops",
    "tape",
    "traced_amount",
]
