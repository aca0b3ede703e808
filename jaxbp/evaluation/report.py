"""An evaluation trace as data, with what is suspicious in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from .. import ir
from ..costs.amount import ZERO, Range
from ..display import Page, Shown
from ..errors import UnknownName, nearest
from .row import TraceRow, type_name


@dataclass(repr=False)
class EvaluationTrace(Shown):
    """The evaluation trace of a function.

    Attributes:
      name: of the function.
      rows: inputs, equations in order of evaluation, outputs.
      notes: why a sweep could not be made.
    """

    name: str
    rows: list[TraceRow]
    notes: list[str]

    def __getitem__(self, name: str) -> TraceRow:
        """The row that gives the value called `name`."""
        for row in self.rows:
            if name in row.names:
                return row
        known = [name for row in self.rows for name in row.names]
        raise UnknownName(f"no value is called `{name}`. {nearest(name, known)}")

    @property
    def flops(self) -> Range:
        """Counted flops of all equations."""
        counted = (row.flops for row in self.rows if row.flops is not None)
        return sum(counted, ZERO)

    @property
    def kept_bytes(self) -> int:
        """Bytes of all residuals that reverse mode keeps, each once."""
        return sum(row.kept_bytes for row in self.rows)

    def page(self) -> Page:
        """The table, the totals and remarks."""
        from .render import page

        return page(self)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict per value: name, equation, type, primal, tangent, cotangent, ..."""
        return [
            {
                "name": name,
                "equation": row.equation,
                "operation": row.operation,
                "kind": row.kind,
                "level": row.level,
                "type": type_name(ir.typeof(primal)),
                "primal": None if ir.is_ref(primal) else primal,
                "tangent": tangent,
                "cotangent": cotangent,
                "flops": row.flops.high if row.flops is not None else None,
                "kept_bytes": row.kept_bytes,
                "source": row.source,
            }
            for row in self.rows
            for name, primal, tangent, cotangent in zip(
                row.names, row.primals, row.tangents, row.cotangents, strict=True
            )
        ]

    def suspicions(self) -> Iterator[str]:
        """Where the first NaN or Inf is born, in each of the three columns."""
        for column, rows in (
            ("primals", self.rows),
            ("tangents", self.rows),
            ("cotangents", self.rows[::-1]),
        ):
            for row in rows:
                if row.kind != "opened" and not _finite(getattr(row, column)):
                    place = f" ({row.source})" if row.source else ""
                    named = ", ".join(row.names)
                    said = f"{named} = {row.equation}" if row.equation else named
                    yield f"the first NaN or Inf of the {column} is in {said}{place}."
                    break

    def picture(self, title: str = ""):
        """The graph as a matplotlib Figure: primals and tangents on nodes, cotangents
        on nodes and edges; it is laid out as `jaxbp.scalar.draw` does.

        Raises:
          InvalidArgument: more rows than one could read.
        """
        from .draw import picture

        return picture(self, title)


def _finite(values: Sequence) -> bool:
    return all(
        bool(jnp.all(jnp.isfinite(value)))
        for value in values
        if value is not None
        and not ir.is_ref(value)
        and ir.differentiable(ir.typeof(value))
    )
