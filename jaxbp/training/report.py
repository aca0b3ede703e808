"""What `train_digits` prints: the figures, who was taken for whom, and some misses."""

import jax
import numpy as np

from jaxbp.display import Column, Line, Page, Table, Words, show

_MISSES_SHOWN = 4  # as many as 80 columns hold
_SHADES = " ░▒▓█"


def print_digits_report(outcome, gradient: str, saved):
    """Print a `DigitsOutcome` as tables; `saved` is the state's file, or None."""
    show(Page(_figures(outcome, gradient, saved), *_images(outcome)))


def _images(outcome):
    yield _confusion_table(outcome.confusion)
    misses = np.flatnonzero(outcome.predicted != outcome.split.test.targets)
    if misses.size:
        yield _miss_table(outcome, misses[:_MISSES_SHOWN], misses.size)


def _figures(outcome, gradient, saved) -> Table:
    training = outcome.training
    size = sum(leaf.size for leaf in jax.tree.leaves(training.params))
    right, count = np.trace(outcome.confusion), outcome.confusion.sum()
    rows = [
        ("gradient by", gradient),
        ("parameters", f"{size:,}"),
        ("epochs", str(int(training.state.epoch))),
    ]
    for column, name in (("loss", "training loss"), ("validation_loss", "test loss")):
        if len(training.history.get(column, ())):
            rows.append((name, _number(training.history[column][-1])))
    accuracy = f"{outcome.accuracy:.4f}  ({right} of {count})"
    rows.append(("test accuracy", Words(accuracy, "bold")))
    if training.run_s:
        rows.append(("throughput", f"{training.examples_per_s:,.0f} examples/s"))
    rows.append(("compiling", f"{training.compile_s:.2f} s"))
    rows.append(("training", f"{training.run_s:.2f} s"))
    if saved is not None:
        rows.append(("saved", str(saved)))
    columns = Column("Digits, 8x8 pixels", left=True), Column("", left=True, fold=True)
    return Table(columns, tuple(map(Line, rows)))


def _number(value) -> str:
    """Four digits after the point; of a huge or tiny one four in all."""
    return f"{value:.4f}" if 1e-4 <= abs(value) < 1e6 else f"{value:.4g}"


def _confusion_table(counts) -> Table:
    """Rows are true digits; zeros are dots, so that mistakes stand out."""
    columns = (Column("true", left=True), *(Column(str(d)) for d in range(len(counts))))
    lines = []
    for digit, row in enumerate(counts):
        cells = [_cell(count, digit == column) for column, count in enumerate(row)]
        lines.append(Line((str(digit), *cells)))
    title = "Test images: true digit (row) read as (column)"
    return Table(columns, tuple(lines), title)


def _cell(count, right) -> Words:
    if count == 0:
        return Words("·", "dim")
    return Words(str(count), "good" if right else "bad")


def _miss_table(outcome, rows, total) -> Table:
    truth, read = outcome.split.test.targets, outcome.predicted
    pictures = Line(tuple(_picture(outcome.split.test.inputs[row]) for row in rows))
    columns = (
        Column(f"{truth[row]} read as {read[row]}", left=True, spare=place)
        for place, row in enumerate(rows)
    )
    title = f"{len(rows)} of {total} misread test images"
    return Table(tuple(columns), (pictures,), title)


def _picture(pixels):
    """(64,) from 0 to 1 as 8 lines, two characters a pixel: they look square."""
    shades = np.rint(pixels.reshape(8, 8) * (len(_SHADES) - 1)).astype(int)
    return "\n".join("".join(_SHADES[s] * 2 for s in line) for line in shades)
