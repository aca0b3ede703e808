"""What every witness says where they disagree, and what that usually means."""

from dataclasses import replace

import numpy as np

from .closeness import difference_rtol, wide
from .leafprobe import DIFFERENCES
from .rows import NOT_FINITE, YOURS, Finding, number


def explain(point, j, row):
    """The Finding for the failed `row` of leaf number `j` at a Point."""
    values = {row.judged: row.value, row.witness: row.other}
    noise, wrong, found = 0.0, [], None
    if row.index is not None:
        values = {name: wide(b[j])[row.index].item() for name, b in point.bars.items()}
        values |= _forward_values(point, j, row.index)
        found = _numbers(point, j, row.index)
        if found is not None:
            wrong = [name for name, v in values.items() if _against(found, v, point, j)]
            values[DIFFERENCES], noise = float(found.slope), float(found.noise)
    elif row.witness == DIFFERENCES:
        noise, wrong = row.noise, [row.judged]
    sentence = _sentence(row, values, wrong, found)
    return Finding(row.leaf, row.element, row.point, values, noise, sentence)


def _one_hot(x, index):
    direction = np.zeros(x.shape, wide(x).dtype)
    direction[index] = 1.0
    return direction


def _forward_values(point, j, index):
    """What each forward mode says of one element; nothing if it is complex."""
    x = point.xs[j]
    if np.iscomplexobj(x):
        return {}
    one_hot = _one_hot(x, index)
    return {n: point.along(push, j)(one_hot) for n, push in point.forwards.items()}


def _numbers(point, j, index):
    """The differences in one real element, per unit; None where they do not apply."""
    x = point.xs[j]
    if not point.differences or np.iscomplexobj(x):
        return None
    probe = point.probe(j)
    found = probe.slope(_one_hot(x, index) * probe.sizes)
    unit = found.direction[index]
    if not np.isfinite(found.slope) or not unit:
        return None
    names = ("direction", "slope", "left", "right")
    per_unit = {name: getattr(found, name) / unit for name in names}
    return replace(found, noise=found.noise / abs(unit), **per_unit)


def _against(found, value, point, j):
    """Whether a witness's `value` is not what the differences allow."""
    relative = difference_rtol(point.xs[j].dtype) * (abs(value) + abs(found.slope))
    return not found.gap(value) <= relative + 3 * found.noise


def _sentence(row, values, wrong, found):
    """Who stands against whom, and the usual cause."""
    exact = [name for name in values if name != DIFFERENCES]
    if row.verdict == NOT_FINITE:
        return _not_finite_sentence(values, exact)
    said = f"The differences speak against {' and '.join(wrong)}"
    if found is not None and found.kink and wrong:
        low, high = sorted((found.left, found.right))
        said += f": the one-sided slopes are {number(low)} and {number(high)}"
    if not wrong:
        return "The differences are too coarse here to tell who is right."
    if len(wrong) < len(exact) or wrong == [YOURS]:
        return said + "."
    return (
        "Every derivative rule says so and the values of f say otherwise: look for a "
        "wrong custom_vjp or custom_jvp rule, a stop_gradient, or a rounding inside f."
    )


def _not_finite_sentence(values, exact):
    bad = [name for name in exact if not np.isfinite(values[name])]
    if len(bad) < len(exact):
        return f"Not finite in {' and '.join(bad)} alone."
    if len(values) > len(exact):
        return (
            "No derivative rule is finite though f has a slope: look for 0 times inf, "
            "as in the norm of a zero vector, or a `where` that guards the value only."
        )
    return "Not finite in any witness: f has no derivative here, or it overflows."
