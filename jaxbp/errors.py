"""The error classes of jaxbp, one per kind of mistake.

Every message says what was expected, what came, where, and what to do.
"""

import pathlib
import re
import traceback


class JaxbpError(Exception):
    """Base of every error that jaxbp raises on purpose.

    Attributes:
      origin: the equation of the differentiated program at which it was met, or None.
    """

    origin = None

    def at(self, origin):
        """The same error, its message ending with the first place it is told; a place
        that knows no line is followed by the next one that does."""
        if origin is None or not self.args or (self.origin and self.origin.source):
            return self
        known, self.origin = self.origin, origin
        if known is None:
            text = f"{self.args[0]} Met at {origin}."
        elif origin.source:
            text = f"{str(self.args[0])[:-1]}, called at {origin}."
        else:
            return self
        self.args = (text, *self.args[1:])
        return self


class WrongInput(JaxbpError, ValueError, TypeError):
    """Input that does not fit: base of the kinds below.

    It is a ValueError and a TypeError: for one and the same mistake JAX raises now the
    one, now the other, and handlers written for JAX shall catch ours.
    """


class ShapeMismatch(WrongInput):
    """An array's shape is not the one the operation needs."""


class DtypeMismatch(WrongInput):
    """An array's dtype is not the one the operation needs."""


class StructureMismatch(WrongInput):
    """Two pytrees that must have one structure have two."""


class InvalidArgument(WrongInput):
    """An argument's value is outside what the function accepts."""


class NoTranspose(InvalidArgument):
    """A part of a program can be pushed through but not be pulled back through."""


class UnknownName(JaxbpError, KeyError):
    """A name that is not in a table; the message lists the nearest ones."""

    def __str__(self):  # KeyError would print the message's repr
        return str(self.args[0]) if self.args else ""


class DataError(JaxbpError, ValueError):
    """A file or data set is truncated, foreign or inconsistent."""


class MissingRule(JaxbpError, NotImplementedError):
    """A primitive of the differentiated program has no rule."""


class NotOffered(JaxbpError, NotImplementedError):
    """An option that JAX names but refuses, and so do we."""


class NonlinearTangent(JaxbpError, TypeError):
    """A custom rule's tangent part is not linear in the tangent."""


FOREIGN = re.compile(r"[/\\](jax|jaxlib|jaxbp|numpy|contextlib\.py)([/\\]|$)")


def numpy_said(error: BaseException, name: str) -> str:
    """What to do about a NumPy function that met a traced value, and where it stands;
    empty of any other error.

    Args:
      name: of the function that was traced.
    """
    if type(error).__name__ != "TracerArrayConversionError":  # JAX's, not imported here
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not FOREIGN.search(f.filename) and f.filename[0] != "<"]
    at = f" ({pathlib.Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return (
        f"`{name}` turns a traced value into a numpy array{at}, which nobody can "
        "differentiate through: write jnp where it says np."
    )


def note_numpy(error: BaseException, name: str) -> None:
    """Gives JAX's own error about NumPy that sentence as a note, once."""
    said = numpy_said(error, name)
    if said and said not in getattr(error, "__notes__", ()):
        error.add_note(said)


def nearest(name, known, count=3, suffix=""):
    """The sentence that helps after a wrong name: its nearest matches in `known`.

    Args:
      suffix: that all may have; it makes no two names alike.
    """
    import difflib  # only on the way to an error

    known = sorted(set(known))
    stems = [k.removesuffix(suffix) for k in known]
    name = name.removesuffix(suffix)
    close = difflib.get_close_matches(name, stems, n=count, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(f"`{c}{suffix}`" for c in close) + "?"
    if not known:
        return "There is none."
    return "Known: " + ", ".join(f"`{k}`" for k in known) + "."
