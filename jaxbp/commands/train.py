"""`jaxbp train digits`: train a network with one of three gradients."""

import os
import sys
from typing import NoReturn

from ..errors import UnknownName, nearest

LOST = 75  # EX_TEMPFAIL: the run can be started again


def run(argv) -> int:
    """The exit status of `jaxbp train *argv`."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: jaxbp train digits [options]; --help behind it has the options.")
        return 0 if argv else 2
    if argv[0] != "digits":
        raise UnknownName(f"no task `{argv[0]}`. {nearest(argv[0], ['digits'])}")
    from ..scale import ProcessLost
    from ..scale.signals import Terminated
    from ..training.digits import train_digits
    from .options import parsed

    try:
        outcome = parsed(train_digits, argv[1:], "jaxbp train digits")
    except Terminated as stop:
        print(f"Terminated. {stop.saved}", file=sys.stderr)
        raise
    except ProcessLost as error:
        _leave(f"{type(error).__name__}: {error}")
    if outcome.saved is not None and _is_first():
        epoch = int(outcome.training.state.epoch)
        print(f"{outcome.saved} holds the state after epoch {epoch}.")
    return 0


def _is_first() -> bool:
    import jax

    return jax.process_index() == 0


def _leave(said: str) -> NoReturn:
    """Ends the process at once: a shutdown would wait for the process that is lost."""
    print(said, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(LOST)
