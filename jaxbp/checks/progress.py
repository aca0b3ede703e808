"""A bar for checks that take their time: on a terminal only, and not at once."""

import contextlib
import sys
import threading

PATIENCE_S = 2.0  # a check that is over by then shows nothing
HINT = "(fewer `probes` or `points` take less)"


@contextlib.contextmanager
def progress(text):
    """Gives advance(done, total); draws on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(f"{text} {HINT}")
    patience = threading.Timer(PATIENCE_S, bar.start)
    patience.daemon = True
    patience.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        patience.cancel()
        patience.join()  # it may be starting the bar just now
        bar.stop()
