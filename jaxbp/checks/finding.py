"""What every witness says where they disagree, and what that usually means."""

import numpy as np

from . import probes
from .closeness import wide
from .pattern import pattern
from .rows import DIFFERENCES, NOT_FINITE, YOURS, Finding, listed, number

ALL_ELEMENTS = 64  # of a leaf that the differences can give a whole gradient for


def explain(point, j, row):
    """The Finding for the failed `row` of leaf number `j` at a Point."""
    values = {row.judged: row.value, row.witness: row.other}
    noise, wrong, found = row.noise, [], None
    if row.index is not None:
        values = {name: wide(b[j])[row.index].item() for name, b in point.bars.items()}
        look = _at(point, j, row.index)
        unit = look.probe.direction[row.index]
        if not np.iscomplexobj(point.xs[j]):
            values |= {n: v / unit for n, (v, _) in look.forwards.items()}
            if np.isfinite(look.found.value):
                found = look.found.scaled(unit)
        if found is not None:
            allowed = point.looker.allowed(look) / abs(unit)
            wrong = [n for n, v in values.items() if not _agrees(found, v, allowed)]
            values[DIFFERENCES], noise = found.value, found.noise
    if found is None and row.witness == DIFFERENCES:  # along a direction
        said, bound = values[row.judged], abs(row.value - row.other) / 4
        exact = [name for name in point.bars if name in values]
        wrong = [name for name in exact if abs(values[name] - said) <= bound]
    sentence = _sentence(point, row, values, wrong, found)
    blamed = wrong or _outvoted(row, values)
    untold = row.verdict == NOT_FINITE or (not wrong and _is_coarse(found, row))
    said = "" if untold else _pattern(point, j, blamed, row)
    if YOURS in point.bars and YOURS not in blamed:
        said = said.replace("It is", "What they say is")  # not yours, spoken of before
    return Finding(
        row.leaf, row.element, row.point, values, float(noise), sentence, said
    )


def _outvoted(row, values):
    """The gradient given, if all that is exact beside it says one thing."""
    others = [v for n, v in values.items() if n not in (row.judged, DIFFERENCES)]
    if row.judged != YOURS or row.witness == DIFFERENCES or not others:
        return []
    near = abs(values[YOURS] - others[0]) / 4
    return [YOURS] if all(abs(v - others[0]) <= near for v in others) else []


def _at(point, j, index):
    member = int(np.ravel_multi_index(index, point.xs[j].shape)) if index else 0
    return point.looker.look([probes.one_hot(j, point.xs[j], member)])[0]


def _agrees(found, value, allowed):
    return abs(value - found.value) <= allowed


def _sentence(point, row, values, wrong, found):
    """Who stands against whom, and the usual cause."""
    exact = [name for name in values if name != DIFFERENCES]
    if row.verdict == NOT_FINITE:
        return _not_finite_sentence(values, exact, row, found)
    if not wrong:
        return _exact_sentence(values, exact, row, found)
    if found is not None and found.kink:
        return (
            f"The differences speak against {listed(wrong)}: the one-sided "
            f"slopes are {number(found.left, 6)} and {number(found.right, 6)}."
        )
    if set(exact) - set(wrong) == {YOURS} and len(exact) > 2:
        return (
            "The differences and yours speak against every derivative rule: f holds a "
            "stop_gradient, or a custom rule that its values do not bear out. "
            "`differences=False` holds yours to the rules alone."
        )
    right = [name for name in exact if name not in wrong]
    if right and set(point.bars) == set(wrong) and YOURS not in wrong:
        return (
            f"The differences, {listed(right)} speak against {listed(wrong)}: look for "
            "an index outside of its array, which f holds to the end and reverse mode "
            "drops, or a rule whose two modes differ."
        )
    if right or wrong == [YOURS]:
        return f"The differences speak against {listed(wrong)}."
    return (
        "Every derivative rule says so and the values of f say otherwise: look for a "
        "wrong custom_vjp or custom_jvp rule (`jaxbp.check_rules` names it), a "
        "stop_gradient, an iteration that ends at a tolerance, or a rounding inside f."
    )


def _exact_sentence(values, exact, row, found):
    """Two exact derivatives differ by more than rounding, by less than values show."""
    gap = abs(row.value - row.other)
    judged = values[row.judged]  # of a complex element, which no slope is
    near = [n for n in exact if abs(values[n] - judged) <= gap / 2]
    far = [n for n in exact if n not in near]
    said = f"{listed(near)} differ"
    if far:
        said = f"{listed(near)} differ{'s' * (len(near) == 1)} from {listed(far)}"
    said += " by more than rounding explains"
    if not _is_coarse(found, row):  # the looks at f's values say it
        return f"{said}."
    return f"{said}; the values of f are too coarse here to tell who is right."


def _is_coarse(found, row):
    """Whether f's values err by as much as two derivatives are apart."""
    return found is not None and found.noise >= abs(row.value - row.other) / 2


def _not_finite_sentence(values, exact, row, found):
    bad = [name for name in exact if not np.isfinite(values[name])]
    if not bad:
        return (
            f"Not finite in {row.witness} along a direction: a derivative that is not "
            "finite elsewhere was multiplied by zero."
        )
    if len(bad) < len(exact):
        return f"Not finite in {listed(bad)} alone."
    if found is not None:
        told = found.noise < max(abs(found.value), found.steepest) / 4
        slope = "f has a slope" if told else "f and its one-sided slopes are"
        return (
            f"No derivative rule is finite though {slope}: look for 0 times inf, "
            "as in the norm of a zero vector, or a `where` that guards the value only; "
            "`jaxbp.explain_nan` says where."
        )
    return "Not finite in any witness: f has no derivative here, or it overflows."


def _pattern(point, j, wrong, row):
    """How the judged gradient of the leaf comes from the right one, if it is wrong."""
    judged = point.report.judged
    blamed = [name for name in point.bars if name in wrong]
    if row.index is not None and judged not in blamed and blamed:
        judged = blamed[0]
    elif judged not in wrong:
        return ""
    x, bar = point.xs[j], wide(point.bars[judged][j])
    lengths = {n for leaf in point.xs for n in leaf.shape}
    others = [b[j] for name, b in point.bars.items() if name not in wrong]
    if others and row.index is not None:
        right = wide(others[0])
        settings, dtype = point.check.settings, point.dtypes[j]
        error = settings.rtol(dtype) * np.abs(right) + point.slack.of[j]
        return pattern(bar, right, error, x, lengths)
    if np.iscomplexobj(x) or x.size > ALL_ELEMENTS:
        return ""
    looks = point.looker.look(
        [probes.one_hot(j, x, m) for m in range(x.size)], forwards=False
    )
    units = [look.probe.direction.ravel()[m] for m, look in enumerate(looks)]
    pairs = list(zip(looks, units, strict=True))
    right = np.array([look.found.value / u for look, u in pairs]).reshape(x.shape)
    error = [point.looker.allowed(look) / abs(u) for look, u in pairs]
    return pattern(bar, right, np.array(error).reshape(x.shape), x, lengths)


# Values ----------------------------------------------------------------------------


def value_finding(row):
    """The Finding for a value returned with a derivative that is not f's own."""
    values = {row.judged: row.value, "f": row.other}
    sentence = (
        f"The value that {row.judged} returns with its derivative is not f's own."
    )
    return Finding(row.leaf, row.element, row.point, values, 0.0, sentence)


def stochastic(subject):
    """Whether two calls of f at one point give two values."""
    device = subject.device(subject.x)
    pairs = zip(subject.outputs(*device), subject.outputs(*device), strict=True)
    return any(not np.array_equal(a, b, equal_nan=True) for a, b in pairs)
