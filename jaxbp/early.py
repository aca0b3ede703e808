"""Ctrl-C while the command is still being imported: JAX alone takes a second.

The package is imported before the command's own code runs, so that this is the first
thing that it imports, and itself imports what Python has at hand by then: only Python's
own start comes before. As a library it leaves signals alone.
"""

import os
import sys

try:  # `signal` itself takes a moment to import, in which it would not be watched
    import _signal as signal  # pyright: ignore
except ImportError:
    import signal

STATUS = 130


def is_command() -> bool:
    """Whether the process is the `jaxbp` command, or `python -m jaxbp`."""
    program = os.path.basename(sys.argv[0]) if sys.argv else ""
    if program in ("jaxbp", "jaxbp.exe", "jaxbp-script.py"):
        return True
    return program == "-m" and "jaxbp" in sys.orig_argv


def _leave(*_):
    os.write(2, b"Interrupted.\n")
    os._exit(STATUS)


def watch() -> None:
    """Ends a command that is interrupted before it begins, at once and in one line."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual and is_command():
        try:
            signal.signal(signal.SIGINT, _leave)
        except ValueError:  # another thread than the main one imports the package
            pass


def begun() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


watch()
