"""A progress bar with loss, accuracy and throughput; silent where none can be seen."""

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


class EpochBar:
    """Shows epochs done, the last record and examples/s on standard error.

    Args:
      epochs: in all.
      done: already finished, as after a resume.
      show: None shows the bar on a terminal and in a notebook only.
    """

    def __init__(self, epochs: int, done: int, show: bool | None = None):
        console = Console(stderr=True)
        if show is None:
            show = console.is_terminal or console.is_jupyter
        self._progress = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not show,
        )
        self._task = self._progress.add_task(
            "", total=epochs, completed=done, figures="compiling"
        )

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ):
        self._progress.stop()

    def update(
        self, done: int, record: Mapping[str, float], examples_per_s: float
    ) -> None:
        """Move to `done` epochs and show the newest figures."""
        figures = [f"{name} {value:.4g}" for name, value in _shown(record).items()]
        figures.append(f"{examples_per_s:,.0f} examples/s")
        self._progress.update(self._task, completed=done, figures="  ".join(figures))


def _shown(record):
    """The loss and what validation measured, briefly: a line has 80 columns."""
    measured = {
        name.removeprefix("validation_"): value
        for name, value in record.items()
        if name.startswith("validation_")
    }
    if len(measured) > 1:
        measured.pop("loss", None)
    elif "loss" in measured:
        measured = {"validation loss": measured["loss"]}
    return {"loss": record["loss"], **measured}
