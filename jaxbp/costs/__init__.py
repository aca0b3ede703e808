"""What derivatives cost: flops, transcendental functions, memory traffic, tape bytes.

Counted from traced programs and the linear program, with nothing run. `cost` gives a
report on a function, `tape` one on what reverse mode keeps; `flops` a number;
`counted` the columns of a study's row; `collectives` what moves between devices, and
`compiled_collectives` what XLA made of it.
"""

from .amount import Amount, Range
from .collectives import Collective, Link, moved_bytes
from .compiled import compiled_collectives
from .count import amount_of, flops, traced_amount
from .memory import Residual, Tape
from .price import cost, counted
from .report import CostReport, CostRow
from .sharded import collectives
from .tape_report import TapeChange, TapeDiff, TapeReport, TapeRow
from .taped import tape
from .timeline import TapeStep

__all__ = [
    "Amount",
    "Collective",
    "CostReport",
    "CostRow",
    "Link",
    "Range",
    "Residual",
    "Tape",
    "TapeChange",
    "TapeDiff",
    "TapeReport",
    "TapeRow",
    "TapeStep",
    "amount_of",
    "collectives",
    "compiled_collectives",
    "cost",
    "counted",
    "flops",
    "moved_bytes",
    "tape",
    "traced_amount",
]
