"""A bar for checks that take their time: on a terminal only, and not at once."""

import contextlib
import sys
import time

PATIENCE_S = 2.0  # a check that is over by then shows nothing


@contextlib.contextmanager
def progress(text):
    """Gives advance(done, total); draws on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    start, bar = (
        time.monotonic(),
        Progress(console=Console(stderr=True), transient=True),
    )
    task = bar.add_task(text)
    shown = False

    def advance(done, total):
        nonlocal shown
        if not shown and time.monotonic() - start > PATIENCE_S:
            bar.start()
            shown = True
        bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        if shown:
            bar.stop()
