"""Files to be written: whether they can be is found out before the work, not after."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import InvalidArgument

_ANSWERS: list = []  # where the answer goes, while all else goes to standard error


@contextlib.contextmanager
def own_streams() -> Iterator[None]:
    """Around a command: what it turned aside is where it was, after it."""
    before = sys.stdout
    try:
        yield
    finally:
        sys.stdout = before
        _ANSWERS.clear()


def turn_aside() -> None:
    """What is printed from here on, by the user's file or function, goes to standard
    error: the answer alone goes to standard output, for a program to read."""
    _ANSWERS.append(sys.stdout)
    sys.stdout = sys.stderr


def answer(text: str) -> None:
    """Prints to standard output, which is then as it was."""
    if _ANSWERS:
        sys.stdout = _ANSWERS.pop()
    print(text)


def check_writable(
    option: str, path: str | os.PathLike | None, makes_folders: bool = True
) -> None:
    """Raises InvalidArgument, in one line, unless a file can be written there.

    It is tried, not asked: permissions do not tell what a file system of the kernel's,
    or one that is full, refuses.

    Args:
      option: as the user wrote it, for the message.
      path: of the file; None is no file, and passes.
      makes_folders: the folders on the way are made. Else they must be there: a report
        is not worth one that was mistyped.
    """
    if path is None:
        return
    path = Path(path)
    if not makes_folders and not path.parent.is_dir():
        there = path.parent.exists()
        why = (
            f"{path.parent} is no folder. Choose another."
            if there
            else f"there is no folder {path.parent}. Make it, or choose another."
        )
        raise InvalidArgument(
            f"`{option}` must be a place that can be written, but {path} cannot: {why}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with open(path, "ab"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise _unwritable(option, path, error) from error


def check_replaced(
    option: str, path: str | os.PathLike | None, is_own: Callable[[bytes], bool]
) -> None:
    """Raises InvalidArgument where the file would replace one of another kind.

    Args:
      option, path: as for `check_writable`, which has passed.
      is_own: of the first bytes of a file, whether it may be replaced.
    """
    if path is None or not Path(path).is_file():
        return
    with open(path, "rb") as file:
        head = file.read(16)
    if head and not is_own(head):
        raise InvalidArgument(
            f"`{option}` would replace {path}, which is something else than it writes. "
            "Give another name, or remove that file first."
        )


@contextlib.contextmanager
def writing(option: str, path: str | os.PathLike) -> Iterator[None]:
    """Around the writing of a file that is known only now not to hold it, as on a disk
    that is full: InvalidArgument, in one line, with the file's name."""
    try:
        yield
    except BrokenPipeError:  # a pipe whose reader has seen enough
        raise
    except OSError as error:
        raise _unwritable(option, Path(path), error) from error


def check_folder(option: str, path: str | os.PathLike) -> None:
    """The same for a folder, which is made."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _unwritable(option, path, error) from error


def _unwritable(option: str, path: Path, error: OSError) -> InvalidArgument:
    why = (error.strerror or type(error).__name__).lower()
    return InvalidArgument(
        f"`{option}` must be a place that can be written, but {path} cannot: {why}. "
        "Choose another."
    )
