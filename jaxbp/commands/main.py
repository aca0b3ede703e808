"""The command line: finds the command, and gives each error its exit status.

The commands themselves are in `jaxbp.commands`, each imported when it runs, so that
help comes at once. Exit status: 0 done, 1 a command's own verdict is no (a check found
a disagreement), 2 wrong input, 75 another process of the run is lost, 130 interrupted,
141 nobody reads on, 143 terminated, the state saved.
"""

import errno
import importlib
import os
import re
import sys
import traceback

from .. import early
from ..display import tolerate
from ..errors import JaxbpError, UnknownName, nearest
from ..interrupts import interruptible
from ..outputs import own_streams

# How each is called, and what it does; its module is `commands/<first word>.py`.
COMMANDS = {
    "study [NAME]": "run a study; without NAME, list",
    "study compare A B": "two result folders, case by case: what changed?",
    "classics [NAME]": "classic systems rebuilt; without NAME, list",
    "classics worked": "a small network from TOML, computed by hand",
    "train digits": "train a network with one of three gradients",
    "check pkg.mod:fn": "is its gradient right? five witnesses side by side",
    "cost pkg.mod:fn": "what do its derivatives cost? nothing is run",
    "tape pkg.mod:fn": "what does reverse mode keep, why, and until when?",
    "jacobian pkg.mod:fn": "the cheapest order for its Jacobian; why?",
    "trace pkg.mod:fn": "every value, tangent and cotangent on the way",
    "nan pkg.mod:fn": "where is its gradient's NaN or Inf born? a remedy",
    "time pkg.mod:fn": "how long do it and its derivatives take?",
    "coverage [WORD]": "what JAX differentiates, beside the rules here",
}
EXAMPLES = """\
  jaxbp study forward_vs_reverse --quick
  jaxbp train digits --gradient layers --seed 3
  srun -n 4 jaxbp train digits --mesh data=4 --save run --resume
  jaxbp check model.py:loss --shapes "f32[4] f32[8,4] f32[8]"
  jaxbp check mypackage.model:loss --args "jnp.ones((8, 4)), jnp.zeros(4)"
  jaxbp check model.py:loss --grad model.py:my_gradient
  jaxbp cost model.py:loss --shapes "f32[512,512] f32[64,512] f32[64,512]"
  jaxbp tape model.py:loss --shapes "f32[512,512] f32[64,512] f32[64,512]"
  jaxbp time model.py:loss --shapes "f32[512,512] f32[64,512] f32[64,512]"
  jaxbp jacobian model.py:step --shapes "f32[512] f32[8,512] f32[512,8]"
  jaxbp trace model.py:y --args "2.0, 5.0" --picture y.svg
  jaxbp nan model.py:loss --args "jnp.zeros(3)"
  jaxbp classics worked --net my.toml --markdown
  jaxbp coverage scatter
"""


def help_text() -> str:
    """What `jaxbp --help` prints."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {call:<{width}}  {what}" for call, what in COMMANDS.items())
    return (
        "jaxbp: derivatives you can read, check, price, and then use.\n\n"
        f"usage: jaxbp COMMAND [options]\n\ncommands:\n{lines}\n\n"
        f"examples:\n{EXAMPLES}\n"
        "Numbers have 32 bits, as JAX's have, or 64 by `--x64` or a type in --shapes.\n"
        "`jaxbp COMMAND --help` has the options. `jaxbp --version` tells the versions."
    )


def main(argv=None):
    """The entry point of the `jaxbp` command; `argv` defaults to the process's own.

    Raises:
      SystemExit: with the exit status; after Ctrl-C the process just ends.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        tolerate(stream)
    try:
        with interruptible(), own_streams():
            early.begun()
            status = _dispatch(argv)
            sys.stdout.flush()
        raise SystemExit(status)
    except BrokenPipeError:  # `jaxbp ... | head`: the reader has seen enough
        _silence_stdout()
        raise SystemExit(141) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        where = error.filename or "standard output"  # files say their names themselves
        _silence_stdout()
        why = (error.strerror or "").lower()
        print(f"{where} cannot be written: {why}.", file=sys.stderr)
        raise SystemExit(2) from None
    except JaxbpError as error:
        if "--traceback" in argv:
            traceback.print_exception(error.__cause__ or error)
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _silence_stdout() -> None:
    """What is left in the buffer is not tried again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(argv) -> int:
    if argv[:1] == ["help"] and len(argv) > 1:  # `jaxbp help check`
        argv = [*argv[1:], "--help"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if argv[0] == "--version":
        print(_versions())
        return 0
    names = [call.split()[0] for call in COMMANDS]
    if argv[0] not in names:
        inner = [call for call in COMMANDS if argv[0] in call.split()[1:]]
        inner += [word for word in re.split("[-_]", argv[0]) if word in names]
        known = f"Did you mean `{inner[0]}`?" if inner else nearest(argv[0], names)
        raise UnknownName(f"no command `{argv[0]}`. {known}")
    command = importlib.import_module(f".{argv[0]}", __package__)
    return command.run(argv[1:])


def _versions() -> str:
    import jax

    from .. import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return f"jaxbp {__version__}, JAX {jax.__version__}, Python {python}"
