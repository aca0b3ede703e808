"""How good is a cost that is predicted before anything runs?

Expectation: times from counted flops and bytes and the device's measured roofs are
right within a factor of two for most rows, since fusion, threads and caches are
modelled coarsely; which of pushforwards and pullbacks is cheaper is a larger difference
and is told rightly in at least 95 % of the cases where the two differ by more than 1.3.

This study measures nothing: it reads the rows of all others for this device.

Command: jaxbp study prediction [--quick] [--device cpu|gpu|tpu]
"""

from collections import defaultdict

import numpy as np

from jaxbp.study import Study, is_gap, plots, run, tables
from jaxbp.study.catalogue import load_study, study_files
from jaxbp.study.unstable import steady

MINUTES = 0.1

CLEAR = 1.3  # the modes' times differ by more than this


def gather(results, device, quick):
    """The steady rows of all studies that have a predicted time beside a measured."""
    found = []
    for name in study_files():
        file = results / name / device / ("quick" if quick else "") / "rows.csv"
        if name == "prediction" or not file.exists():
            continue
        study = load_study(name)
        settings = {key for case in study.cases for key in case}
        for row in steady(tables.read_csv(file.read_text())):
            if not is_gap(row) and {"time_s", "predicted_s"} <= set(row):
                found.append(entry(name, row, settings))
    return found


def entry(name, row, settings):
    """A row of another study, reduced to what is judged here."""
    subject = {k: v for k, v in row.items() if k in settings - {"method"}}
    return {
        "study": name,
        "subject": " ".join(f"{k}={v}" for k, v in sorted(subject.items())),
        "method": row.get("method", row.get("order", "")),
        "mode": row.get("mode"),
        "predicted_s": row["predicted_s"],
        "time_s": row["time_s"],
        "off": row["predicted_s"] / row["time_s"],
    }


def factor(rows):
    """By what factor each prediction is off, at least 1."""
    off = np.array([row["off"] for row in rows])
    return np.maximum(off, 1 / off)


def duels(rows):
    """(measured, predicted) time of forward over reverse mode, for each subject."""
    subjects = defaultdict(dict)
    for row in rows:
        if row.get("mode"):
            subjects[row["study"], row["subject"]][row["mode"]] = row
    return [
        tuple(
            pair["forward"][column] / pair["reverse"][column]
            for column in ("time_s", "predicted_s")
        )
        for pair in subjects.values()
        if len(pair) == 2
    ]


def clear(pairs):
    """The pairs whose measured times differ by more than `CLEAR`."""
    return [pair for pair in pairs if max(pair[0], 1 / pair[0]) > CLEAR]


def right(pairs):
    """How many predictions name the cheaper mode."""
    return sum((measured > 1) == (predicted > 1) for measured, predicted in pairs)


def summary(rows):
    """How far off, study by study; how often the cheaper mode is named."""
    groups = {"all": rows}
    for row in rows:
        groups.setdefault(row["study"], []).append(row)
    lines = []
    for name, group in groups.items():
        pairs = clear(duels(group))
        lines.append(
            {
                "study": name,
                "rows": len(group),
                "median factor off": float(np.median(factor(group))),
                "90th percentile": float(np.quantile(factor(group), 0.9)),
                "within 2": float(np.mean(factor(group) <= 2)),
                "modes compared": len(pairs),
                "cheaper mode right": right(pairs) / len(pairs) if pairs else None,
            }
        )
    pairs = clear(duels(rows))
    title = (
        f"The cheaper mode is named in {right(pairs)} of {len(pairs)} cases that "
        f"differ by more than {CLEAR}"
    )
    return {title: lines}


def claim(rows):
    """Median and 90th percentile, and the cheaper mode."""
    off, pairs = factor(rows), clear(duels(rows))
    worst, by = max(zip(off, (row["study"] for row in rows), strict=True))
    return (
        f"Over {len(rows):,} rows the predicted time is off by a factor of "
        f"{np.median(off):.2f} (median; 90th percentile {np.quantile(off, 0.9):.2f}; "
        f"at worst {tables.order(worst)}, in {by}); "
        f"of the {len(pairs)} pairs of forward and reverse mode that differ by more "
        f"than {CLEAR}, it names the cheaper one in {right(pairs)} "
        f"({right(pairs) / max(1, len(pairs)):.0%})."
    )


def plot(rows, axes):
    times, modes = axes
    names = sorted({row["study"] for row in rows})
    colours = list(plots.COLOURS)
    for k, name in enumerate(names):
        chosen = [row for row in rows if row["study"] == name]
        x, y = ([row[c] for row in chosen] for c in ("time_s", "predicted_s"))
        colour, marker = colours[k % len(colours)], "o^s"[k // len(colours)]
        style = dict(linestyle="", marker=marker, alpha=0.6, markersize=3.5)
        times.plot(x, y, color=plots.COLOURS[colour], label=name, **style)
    every = [row["time_s"] for row in rows]
    ends = np.array([min(every), max(every)])
    times.plot(ends, ends, color=plots.INK, linewidth=0.8)
    for off in (0.5, 2):
        times.plot(ends, off * ends, color=plots.INK, linewidth=0.6, linestyle=":")
    figure = times.figure  # below: points lie everywhere inside
    figure.legend(
        *times.get_legend_handles_labels(), loc="outside lower left", ncols=5,
        fontsize=plots.LABEL_POINTS, frameon=False,
    )  # fmt: skip
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.8)
    plots.log_log(times, "measured (s)", "predicted (s);  dotted: twice, half")
    pairs = duels(rows)
    if pairs:
        x, y = zip(*pairs, strict=True)
        modes.plot(x, y, "o", color=plots.COLOURS["blue"], alpha=0.6)
        ends = [min(x), max(x)]
        modes.plot(ends, ends, color=plots.INK, linewidth=0.8)
    modes.axhline(1, color=plots.INK, linewidth=0.8)
    modes.axvline(1, color=plots.INK, linewidth=0.8)
    title = "pushforwards / pullbacks, predicted"
    plots.log_log(modes, "pushforwards / pullbacks, measured", title)


study = Study(
    file=__file__,
    question=__doc__,
    cases=(),
    quick=(),
    measure=lambda case: case,
    gather=gather,
    columns=("study", "subject", "method", "mode", "time_s", "predicted_s", "off"),
    plot=plot,
    panels=2,
    summary=summary,
    claim=claim,
)

if __name__ == "__main__":
    run(study)
