"""What `train_digits` prints: the figures, who was taken for whom, and some misses."""

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

_MISSES_SHOWN = 4  # as many as 80 columns hold
_SHADES = " ░▒▓█"


def print_digits_report(outcome, gradient: str, saved, console: Console | None = None):
    """Print a `DigitsOutcome` as tables; `saved` is the state's file, or None."""
    console = console or Console()
    console.print(_figures(outcome, gradient, saved))
    console.print(_confusion_table(outcome.confusion))
    misses = np.flatnonzero(outcome.predicted != outcome.split.test.targets)
    if misses.size:
        console.print(_miss_table(outcome, misses[:_MISSES_SHOWN], misses.size))


def _figures(outcome, gradient, saved):
    training = outcome.training
    size = sum(leaf.size for leaf in jax.tree.leaves(training.params))
    right, count = np.trace(outcome.confusion), outcome.confusion.sum()
    table = Table(title="Digits, 8x8 pixels", show_header=False, title_justify="left")
    table.add_row("gradient by", gradient)
    table.add_row("parameters", f"{size:,}")
    table.add_row("epochs", str(int(training.state.epoch)))
    for column, name in (("loss", "training loss"), ("validation_loss", "test loss")):
        if len(training.history.get(column, ())):
            table.add_row(name, f"{training.history[column][-1]:.4f}")
    accuracy = f"[bold]{outcome.accuracy:.4f}[/bold]  ({right} of {count})"
    table.add_row("test accuracy", accuracy)
    if training.run_s:
        table.add_row("throughput", f"{training.examples_per_s:,.0f} examples/s")
    table.add_row("compiling", f"{training.compile_s:.2f} s")
    table.add_row("training", f"{training.run_s:.2f} s")
    if saved is not None:
        table.add_row("saved", str(saved))
    return table


def _confusion_table(counts):
    """Rows are true digits; zeros are dots, so that mistakes stand out."""
    table = Table(
        title="Test images: true digit (row) read as (column)", title_justify="left"
    )
    table.add_column("")
    for digit in range(len(counts)):
        table.add_column(str(digit), justify="right")
    for digit, row in enumerate(counts):
        cells = [_cell(count, digit == column) for column, count in enumerate(row)]
        table.add_row(str(digit), *cells)
    return table


def _cell(count, right):
    if count == 0:
        return Text("·", style="dim")
    return Text(str(count), style="green" if right else "bold red")


def _miss_table(outcome, rows, total):
    truth, read = outcome.split.test.targets, outcome.predicted
    title = f"{len(rows)} of {total} misread test images"
    table = Table(title=title, title_justify="left", box=None)
    for row in rows:
        table.add_column(f"{truth[row]} read as {read[row]}", no_wrap=True)
    table.add_row(*(_picture(outcome.split.test.inputs[row]) for row in rows))
    return table


def _picture(pixels):
    """(64,) from 0 to 1 as 8 lines, two characters a pixel: they look square."""
    shades = np.rint(pixels.reshape(8, 8) * (len(_SHADES) - 1)).astype(int)
    return "\n".join("".join(_SHADES[s] * 2 for s in line) for line in shades)
