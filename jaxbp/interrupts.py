"""Ctrl-C ends a command at once, says what was kept, and never crashes on the way out.

Python looks at a signal between two of its own instructions, so that a compilation by
XLA, which may take a minute, holds it up; and an interpreter that shuts down while XLA
still works ends in a segmentation fault. So the main thread has a moment to save and
say what it saved; then, or when that moment is over, the process ends without shutting
down. What is worth keeping is on the disk by then.
"""

import _thread
import contextlib
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

LAST_WORDS: list[str] = []  # what is kept, as long as it is
STATUS = 130  # 128 and the number of the signal
SOON_S = 0.01
GRACE_S = 3.0  # for the main thread to save and say so


@contextlib.contextmanager
def interruptible():
    """Around a command: what Ctrl-C does while it runs."""
    with _watched(), _not_swallowed():
        try:
            yield
        except KeyboardInterrupt as interrupt:
            leave("Interrupted.", *getattr(interrupt, "__notes__", ()))
        except SystemExit as stop:
            if stop.code == STATUS:  # it has said what was kept
                leave()
            raise


@contextlib.contextmanager
def last_words(*words: str):
    """While this lasts, what is said if a Ctrl-C ends the process on the spot."""
    LAST_WORDS.extend(words)
    try:
        yield
    finally:
        del LAST_WORDS[len(LAST_WORDS) - len(words) :]


def leave(*lines: str) -> NoReturn:
    """Ends the process with status 130, after some last words."""
    with contextlib.suppress(OSError, ValueError):
        for line in lines:
            print(line, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(STATUS)


@contextlib.contextmanager
def _not_swallowed():
    """An interrupt that comes while Python collects garbage is raised again: there it
    would be printed, and ignored."""
    before = sys.unraisablehook

    def again(unraisable):
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(SOON_S, _interrupt).start()  # here it would be lost again
        else:
            before(unraisable)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt() -> None:
    """What Ctrl-C does, from another thread; it ends a wait of the main one, too."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextlib.contextmanager
def _watched():
    """A thread that ends the process if the main one does not answer a Ctrl-C."""
    ours, others = threading.current_thread(), threading.main_thread()
    if ours is not others or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    done = threading.Event()
    threading.Thread(target=_wait, args=(reading, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(before)
        writing.close()  # the thread reads an end of file and is gone


def _wait(reading: socket.socket, done: threading.Event) -> None:
    """Read the numbers of signals; after a Ctrl-C, wait a moment and end."""
    with reading:
        while signals := reading.recv(16):
            if signal.SIGINT in signals and not done.wait(GRACE_S):
                leave("Interrupted.", *LAST_WORDS)
