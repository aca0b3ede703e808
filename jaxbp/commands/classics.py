"""`jaxbp classics [NAME]`: the classic systems, rebuilt and compared."""

from typing import Annotated

import tyro

from ..classics.gallery import list_classics, run_classics
from . import worked
from .options import parsed
from .study import show_list

NOT_NEEDED = tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")


def run(argv) -> int:
    """The exit status of `jaxbp classics *argv`: 1 if a number is not as known."""
    if argv[:1] == ["worked"]:
        return worked.run(argv[1:])
    return parsed(classics, argv, "jaxbp classics")


def classics(
    name: Annotated[str, tyro.conf.Positional, NOT_NEEDED] = "",
    /,
    *,
    quick: bool = False,
    list: bool = False,
) -> int:
    """Rebuild one classic system, or `all`; each number stands beside the known one.

    Writes numbers, table and picture to results/classics/<name>/; a run of all rewrites
    the gallery, studies/classics/README.md. Example: `jaxbp classics mazur`.

    Args:
      name: Of the classic, a script in studies/classics/, or `all`; without it, the
        classics are listed.
      quick: Fewer epochs with their own gates, in a folder apart; no gallery.
      list: List the classics: question, results.
    """
    if list or not name:
        show_list(list_classics())
        return 0
    return run_classics(name, quick)
