"""Who finds the line at which a NaN of a gradient is born?

Expectation: `jax_debug_nans` sees what runs eagerly, about three in four, and almost
nothing under jit, where it names no line of the user's; checkify about two in three;
both alarm where a NaN is dropped again. `jaxbp.explain_nan` says line, operation, and
whether a select drops the value, in either case, and is silent where the gradient is
finite.

The functions are those of `jaxbp.problems.accidents`, one operation of each marked.
The time is that of the answer over that of the uncompiled gradient by JAX, the second
time each is asked.

Command: jaxbp study nan_births [--quick] [--device cpu|gpu|tpu]
Source: jax_debug_nans and jax.experimental.checkify of the installed JAX.
"""

import re
import traceback
from time import perf_counter

import jax
import jax.numpy as jnp
from jax.experimental import checkify

import jaxbp
from jaxbp.problems import accidents
from jaxbp.study import SETTINGS, Study, grid, numbered, plots, run

MINUTES = 1.0

ACCIDENTS = {a.f.__name__: a for a in accidents.ACCIDENTS}
CONTROLS = {f.__name__: (f, (x,)) for f, x in accidents.CONTROLS}
WAYS = ("eager", "jit")
LINE = re.compile(r"accidents\.py:(\d+)")


def line_of(error):
    """The innermost line of the accidents' file that an error names, also as that
    which came before a transformation; None if it names none."""
    if error is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    own = [x.lineno for x in frames if x.filename.endswith("accidents.py")]
    before = line_of(error.__cause__ or error.__context__)
    return before or (own[-1] if own else None)


def by_debug_nans(f, args, jit):
    """(alarm, the innermost line named) of `jax_debug_nans`."""
    gradient = jax.grad(f)
    with jax.debug_nans(True):
        try:
            jax.block_until_ready((jax.jit(gradient) if jit else gradient)(*args))
        except FloatingPointError as error:
            return True, line_of(error)
    return False, None


def by_checkify(f, args, jit):
    """(alarm, the line named) of `checkify.float_checks` on the gradient."""
    checked = checkify.checkify(jax.grad(f), errors=checkify.float_checks)
    error, _ = (jax.jit(checked) if jit else checked)(*args)
    try:
        error.throw()
    except Exception as found:
        return True, line_of(found)
    return False, None


def by_explain_nan(f, args, jit):
    """(alarm, the line of the first birth) of `jaxbp.explain_nan`."""
    report = jaxbp.explain_nan(jax.jit(f) if jit else f, *args)
    named = LINE.search(report.births[0].line) if report.births else None
    return bool(report), int(named[1]) if named else None


TOOLS = {
    "explain_nan": by_explain_nan,
    "jax_debug_nans": by_debug_nans,
    "checkify": by_checkify,
}


def measured(case):
    """What one tool says of one function."""
    name, jit = case["function"], case["way"] == "jit"
    accident = ACCIDENTS.get(name)
    f, args = (accident.f, accident.args) if accident else CONTROLS[name]
    args = tuple(map(jnp.asarray, args))
    tool = TOOLS[case["tool"]]
    alarm, line = tool(f, args, jit)
    row = {"alarm": int(alarm), "line": line}
    if accident is not None:
        row["right_line"] = int(line == accidents.born_at(accident))
    if case["tool"] == "explain_nan":
        row |= told_of(accident, f, args)
        row["time_over_gradient"] = seconds(tool, f, args, jit) / seconds(
            lambda f, args, _: jax.grad(f)(*args), f, args, jit
        )
    return row


def told_of(accident, f, args):
    """Whether operation, kind and mask, step and element are those of the accident."""
    report = jaxbp.explain_nan(f, *args)
    if accident is None or not report.births:
        return {}
    birth = report.births[0]
    same = accident.primitive in birth.primitive and accident.kind in birth.kind
    place = accident.step == birth.step
    if accident.index is not None:
        place = place and accident.index == birth.index
    return {
        "right_kind": int(same and bool(birth.mask) == accident.masked),
        "right_place": int(place),
    }


def seconds(tool, f, args, jit):
    """The least of three."""
    found = []
    for _ in range(3):
        start = perf_counter()
        jax.block_until_ready(tool(f, args, jit))
        found.append(perf_counter() - start)
    return min(found)


def summary(rows):
    """Of each tool: right lines, and alarms on gradients that are finite."""
    counts = []
    for tool in TOOLS:
        for way in WAYS:
            chosen = numbered(rows, tool=tool, way=way)
            found = [row for row in chosen if row["function"] in ACCIDENTS]
            fine = [row for row in chosen if row["function"] in CONTROLS]
            if not found:
                continue
            counts.append(
                {
                    "tool": tool,
                    "way": way,
                    "right line": sum(row["right_line"] for row in found),
                    "of": len(found),
                    "false alarms": sum(row["alarm"] for row in fine),
                    "of finite": len(fine),
                }
            )
    ours = [row for row in numbered(rows, tool="explain_nan") if "right_kind" in row]
    ours = [row for row in ours if row["right_kind"] is not None]
    detail = {
        "operation, kind and mask": sum(row["right_kind"] for row in ours),
        "step and element": sum(row["right_place"] for row in ours),
        "of": len(ours),
        "largest time over the gradient's": max(
            (row["time_over_gradient"] for row in ours), default=None
        ),
    }
    return {"The right line, and false alarms": counts, "What else is said": [detail]}


def claim(rows):
    """Lines found, by tool and way."""
    counts, (detail,) = summary(rows).values()
    told = ", ".join(
        f"{c['tool']} {c['way']} {c['right line']} of {c['of']} "
        f"({c['false alarms']} false alarms of {c['of finite']})"
        for c in counts
    )
    return (
        f"The right line: {told}. explain_nan names operation, kind and mask in "
        f"{detail['operation, kind and mask']}, step and element in "
        f"{detail['step and element']} of {detail['of']} answers."
    )


def plot(rows, axes):
    counts = summary(rows)["The right line, and false alarms"]
    names = [f"{c['tool']}, {c['way']}" for c in counts]
    places = range(len(counts))
    (axis,) = axes
    share = [c["right line"] / c["of"] for c in counts]
    axis.plot(share, places, "o", color=plots.COLOURS["blue"], label="right line")
    alarms = [c["false alarms"] / max(c["of finite"], 1) for c in counts]
    axis.plot(
        alarms, places, "s", color=plots.COLOURS["vermilion"], label="false alarm"
    )
    axis.set_yticks(list(places), names)
    axis.invert_yaxis()
    axis.set_xlim(-0.05, 1.05)
    axis.set_xlabel("share of the functions")
    axis.legend()


def cases(accidents, controls, settings):
    functions = [*accidents, *controls]
    chosen = {"seed": settings["seed"]}
    return grid(tool=list(TOOLS), way=list(WAYS), function=functions, **chosen)


study = Study(
    file=__file__,
    question=__doc__,
    cases=cases(ACCIDENTS, CONTROLS, SETTINGS),
    quick=cases(["rooted", "growth"], ["double_where"], SETTINGS),
    measure=measured,
    columns=(
        *("tool", "way", "function", "alarm", "line", "right_line", "right_kind"),
        *("right_place", "time_over_gradient"),
    ),
    plot=plot,
    summary=summary,
    claim=claim,
    counts=True,
)

if __name__ == "__main__":
    run(study)
