"""A wish to stop, from a scheduler (SIGTERM) or, among processes, from Ctrl-C.

It is noted, and acted on where the work can be left: what is worth keeping is saved,
then the process leaves with status 143, 128 and the number of SIGTERM, or as after a
Ctrl-C. Of several processes any may be told: all leave together.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

TERMINATED = 143


class Terminated(SystemExit):
    """SIGTERM came, and what was to be saved is saved: status 143."""

    def __init__(self, saved: str):
        super().__init__(TERMINATED)
        self.saved = saved


class Wish:
    """Which signals came."""

    def __init__(self):
        self.terminate = False
        self.interrupt = False

    def note(self, number: int, frame) -> None:
        """A signal's handler."""
        if number == signal.SIGTERM:
            self.terminate = True
        else:
            self.interrupt = True


@contextlib.contextmanager
def noted(ctrl_c: bool, terminated: bool) -> Iterator[Wish]:
    """While this lasts, SIGTERM (`terminated`) and SIGINT (`ctrl_c`) are noted only.

    In the main thread alone, and only where nobody else handles them.
    """
    wish = Wish()
    before = {}
    if threading.current_thread() is threading.main_thread():
        wanted = [(signal.SIGTERM, signal.SIG_DFL)] * terminated
        wanted += [(signal.SIGINT, signal.default_int_handler)] * ctrl_c
        for number, usual in wanted:
            if signal.getsignal(number) is usual:
                before[number] = signal.signal(number, wish.note)
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
