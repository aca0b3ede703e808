"""Where in the user's code an operation stands."""

import functools
import pathlib
import re
import sysconfig
from typing import Any

import jax
from jax.extend import source_info_util

_PACKAGE = pathlib.Path(__file__).parents[1]
# Functions of these are differentiated like a user's; all else of the package is no
# more the user's code than JAX itself is.
_FUNCTIONS = {"layers", "problems", "scalar", "training", "worked", "py.typed"}
_OURS = tuple(
    str(path)
    for path in sorted(_PACKAGE.iterdir())
    if path.name not in _FUNCTIONS and not path.name.startswith("__pycache__")
)
for _path in _OURS:
    source_info_util.register_exclusion(_path)
_HIDDEN = (jax.__path__[0], *_OURS, "<frozen ")
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
_STANDARD = sysconfig.get_paths()["stdlib"]

here = source_info_util.current  # the stack here, as equations keep it


@functools.cache
def is_ours(file: str) -> bool:
    """Whether a source file is JAX's, the lab's or Python's own, not the user's."""
    standard = file.startswith(_STANDARD) and "site-packages" not in file
    return standard or file.startswith(_HIDDEN)


def line_of(info) -> str:
    """`file:line (function)` of the innermost frame of the user's code; "" if none."""
    stack = getattr(info, "traceback", None)
    for frame in stack.frames if stack else ():
        if not is_ours(frame.file_name):
            return f"{frame.file_name}:{frame.line_num} ({frame.function_name})"
    return ""


def brief(line: str) -> str:
    """A line as it is shown: without the folders, but those within a package that is
    installed."""
    _, path = re.match(r"([A-Za-z]:)?(.*)", line, re.DOTALL).groups()  # pyright: ignore
    path, colon, rest = path.replace("\\", "/").partition(":")
    *_, within = _INSTALLED.split(path)
    return (within if within != path else path.rpartition("/")[2]) + colon + rest


def call_line_of(info) -> str:
    """The same; where that is within an installed package, of the user's line that
    calls into it, if there is one. "" if no line is known."""
    found = ""
    stack = getattr(info, "traceback", None)
    for frame in stack.frames if stack else ():
        file = frame.file_name
        if found and file.startswith(_OURS):  # further out stands who asked the lab
            return found
        if not is_ours(file):
            line = f"{file}:{frame.line_num} ({frame.function_name})"
            if not _INSTALLED.search(file):
                return line
            found = found or line
    return found


class Origin:
    """From which equation something comes; says nothing to equality and hash, so that
    what is cached by structure is found again from every line.

    Attributes:
      primitive: the name of the primitive.
      place, count: which equation of its program it was, and of how many; or None.
      outer: the origin of the call whose program that is, or None.
      foreign: the derivative is JAX's own, borrowed.
    """

    __slots__ = ("primitive", "place", "count", "outer", "foreign", "_info")

    def __init__(
        self,
        primitive: str,
        info: Any = None,
        place: int | None = None,
        count: int | None = None,
        outer: "Origin | None" = None,
        foreign: bool = False,
    ):
        self.primitive, self._info = primitive, info
        self.place, self.count = place, count
        self.outer, self.foreign = outer, foreign

    @property
    def source(self) -> str:
        """`file:line (function)` of the user's code; that of the call around it where
        the equation itself is none of the user's. "" where no line is known."""
        found = line_of(self._info)
        return found or (self.outer.source if self.outer is not None else "")

    @property
    def call_line(self) -> str:
        """The same, but not within an installed package: see `call_line_of`."""
        found = call_line_of(self._info)
        return found or (self.outer.call_line if self.outer is not None else "")

    @property
    def column(self) -> int | None:
        """Where in the line the expression begins, from 0; None where it is unknown."""
        if not line_of(self._info):
            return self.outer.column if self.outer is not None else None
        found = re.search(r":(\d+):(\d+) \(", source_info_util.summarize(self._info))
        same = found is not None and f":{found[1]} (" in line_of(self._info)
        return int(found[2]) if found is not None and same else None

    @property
    def vmaps(self) -> int:
        """How many `jax.vmap` of the user's are around it; none that a function of
        JAX's own brings with it."""
        own = str(getattr(self._info, "name_stack", "")).count("vmap(")
        stack = getattr(self._info, "traceback", None)
        for frame in stack.frames if stack else ():
            if not is_ours(frame.file_name):
                break
            own -= frame.function_name.endswith("vmap_f")
        return max(own, 0) + (self.outer.vmaps if self.outer is not None else 0)

    def attributed(self):
        """A context manager: what is traced within gets this line."""
        origin: Origin | None = self
        while origin is not None and not line_of(origin._info):
            origin = origin.outer
        found = None if origin is None else origin._info.traceback
        return source_info_util.user_context(found)

    @property
    def equation(self) -> str:
        """ "equation 3 of 9" of its program, or ""."""
        if self.place is None:
            return ""
        return f"equation {self.place + 1} of {self.count}"

    @classmethod
    def nearest(cls, inner: "Origin | None", outer: "Origin | None"):
        """`inner`, as called from `outer`."""
        if inner is None or outer is None:
            return inner or outer
        return cls(
            inner.primitive, inner._info, inner.place, inner.count,
            cls.nearest(inner.outer, outer), inner.foreign,
        )  # fmt: skip

    def __eq__(self, other):
        return isinstance(other, Origin)

    def __hash__(self):
        return 0

    def __str__(self):
        words = [f"`{self.primitive}`", self.equation, self.source]
        return ", ".join(word for word in words if word)

    def __repr__(self):
        return f"Origin({self})"
