"""All witnesses at one point: leaf by leaf, and the adjoint identity over all."""

from dataclasses import replace

import numpy as np

from .adjoint import adjoint_gap
from .closeness import epsilon, inner, quantum, rtol, wide
from .finding import explain
from .judge import elements_that_differ, judge_elements, judge_slope
from .leafprobe import LeafProbe
from .rows import DIFFER, KINK


class Point:
    """One point: its arguments, cotangent and what each witness says there.

    Args:
      check: the comparison under way: subject, report, rng, settings.
      number: 0 for the point given.
      xs: list of arrays by leaf. y_bar: list of arrays by output.
      bars: name -> list of arrays by leaf: the gradients by the reverse modes.
      forwards: name -> ((xs, x_dots) -> y_dot).
    """

    def __init__(self, check, number, xs, y_bar, bars, forwards):
        self.number, self.xs, self.y_bar = number, xs, y_bar
        self.bars, self.forwards = bars, forwards
        self.subject, self.report, self.rng = check.subject, check.report, check.rng
        self.differences, self._relative = check.differences, check.relative
        self.judged = bars[self.report.judged]
        finite = [wide(b)[np.isfinite(wide(b))] for b in self.judged]
        self.across = max((np.abs(b).max(initial=0.0) for b in finite), default=0.0)

    def where(self, leaf, **more):
        return {"leaf": leaf, "point": self.number, "judged": self.report.judged} | more

    def relative(self, dtype):
        return self._relative or rtol(dtype)

    def compare_leaves(self, count):
        for j, name in enumerate(self.subject.names):
            x, x_bar = self.xs[j], self.judged[j]
            if x.size == 0:
                continue
            probe = self.probe(j) if np.isfinite(wide(x_bar)).all() else None
            rows = [
                self._beside_reverse(name, j, other, bars[j], probe)
                for other, bars in self.bars.items()
                if other != self.report.judged
            ]
            if probe is not None:
                known = any(row.failed for row in rows)  # the element is, already
                rows += probe.rows(count, self.rng, narrow=not known)
            elif not rows:
                rows.append(self._alone(name, x_bar))
            self.report.rows.extend(rows)
            self._find(j, rows)

    def _alone(self, name, x_bar):
        """A gradient that is not finite and has no second one beside it."""
        where = self.where(name, witness=self.report.judged)
        return judge_elements(where, x_bar, x_bar, 1.0, 0.0)

    def probe(self, j):
        phi = self.subject.along_leaf(self.xs, j, self.y_bar)
        return LeafProbe(
            self.where(self.subject.names[j]), self.xs[j], self.judged[j],
            phi if self.differences else None,
            {name: self.along(push, j) for name, push in self.forwards.items()},
            self.relative(self.xs[j].dtype),
        )  # fmt: skip

    def along(self, push, j):
        """direction -> slope of <y_bar, f> along it in leaf number `j`."""

        def slope(direction):
            x_dots = [np.zeros_like(x) for x in self.xs]
            x_dots[j] = np.asarray(direction).astype(self.xs[j].dtype)
            y_dot = push(self.xs, x_dots)
            return sum(inner(a, b) for a, b in zip(self.y_bar, y_dot, strict=True))

        return slope

    def _beside_reverse(self, name, j, other, bar, probe):
        x_bar = self.judged[j]
        relative = self.relative(x_bar.dtype)
        where = self.where(name, witness=other)
        row = judge_elements(where, x_bar, bar, relative, self.across)
        if row.verdict == DIFFER and probe is not None and self.differences:
            if self._only_kinks(probe, x_bar, bar, row):
                row = replace(row, verdict=KINK, excess=0.0)
        return row

    def _only_kinks(self, probe, x_bar, bar, row):
        """Whether both are one-sided slopes at the 8 elements that differ most."""
        allowed = abs(row.value - row.other) / row.excess
        for member in elements_that_differ(x_bar, bar, allowed)[:8]:
            direction = np.zeros(x_bar.shape, wide(x_bar).dtype)
            direction.flat[member] = probe.sizes.flat[member]
            found = probe.slope(direction)
            slopes = [inner(side, found.direction) for side in (x_bar, bar)]
            if not found.kink or max(map(found.gap, slopes)) > probe.allowed(found):
                return False
        return True

    def _find(self, j, rows):
        """Say in words what is wrong with a leaf, once."""
        failed = [row for row in rows if row.failed]
        if failed and self.subject.names[j] not in [
            finding.leaf for finding in self.report.findings
        ]:
            worst = max(failed, key=lambda row: (row.index is not None, row.excess))
            self.report.findings.append(explain(self, j, worst))

    def compare_adjoints(self):
        """<y_bar, J x_dot> = <J^T y_bar, x_dot> within each system with both modes."""
        for forward, push in self.forwards.items():
            system = forward.removesuffix(" forward")
            x_bar = self.bars.get(f"{system} reverse")
            if x_bar is None or not all(np.isfinite(wide(b)).all() for b in x_bar):
                continue
            draw = self.rng.normal
            x_dots = [np.asarray(draw(size=x.shape)).astype(x.dtype) for x in self.xs]
            y_dot = push(self.xs, x_dots)
            left, right, size = adjoint_gap(self.y_bar, y_dot, x_bar, x_dots)
            dtype = max((x.dtype for x in self.xs), key=epsilon)
            where = self.where("adjoint identity", witness=f"{system} adjoint")
            where["judged"] = f"{system} reverse"
            spacing = quantum(dtype) * sum(x.size for x in self.xs) ** 0.5
            allowed = self.relative(dtype) * size + 16 * spacing
            self.report.rows.append(judge_slope(where, None, 1.0, right, left, allowed))
