"""Options: what a derivative depends on beside its function, in one frozen object.

They are read where a derivative is recorded, and carried by those of its linear maps
that need them later: what a pullback does is settled when it is made, whatever is in
force where it is called. They are local to a context, so that threads and asynchronous
tasks do not see each other's.

A `with` block is seen when a function is *traced*: `jax.jit` remembers what it has
traced and does not know of the block. An `options=` argument is part of the function.
"""

import contextlib
import dataclasses
import operator
import re
from contextvars import ContextVar, Token
from typing import Any

from .errors import InvalidArgument, UnknownName, nearest


@dataclasses.dataclass(frozen=True)
class Options:
    """How derivatives are recorded.

    Fields:
      scan_residuals: "stack": every residual of a scan's step that changes is stacked.
        "recompute": only the carries are, and the step is run again: the least memory.
        "auto" (the default): what is predicted to take less time. The step is run again
        where it is made of elementwise and structural operations and reductions alone,
        its carries take fewer bytes than its residuals, and to do its operations once
        more (counted by kind, at a platform's nanoseconds an element) takes less than
        to write and read what would be stacked. Else residuals are stacked, but for
        those that are sums, products or copies of others, or indices that follow from a
        count: these are computed again; and an array that a loop writes by parts but
        reads as a whole is restored from what stood in the parts. Where a step carries
        at most 12 real numbers and does more than 56 operations on few numbers, its
        carries are stacked and going back the Jacobians of many steps are computed
        together.
      scan_stack_limit_bytes: going back through a scan, the cotangent behind a weight
        gradient is stacked, to be contracted once after the loop, as long as all that
        is stacked for this takes no more; beyond that the gradient is accumulated step
        by step, and so it is on a CPU where the cotangents are large (above 5 kB a
        step) beside a gradient that stays in the cache. 0 always accumulates. None (the
        default): what residuals as stored slopes would take, less what ours do, and 1
        GiB at most; a loop then never stacks more than if it kept the slope of every
        equation.
      sums_early: where a value is broadcast and then contracted with another along
        other axes, its cotangent is summed first. False: the local derivatives are
        multiplied in the order of the program, as in JAX.
      strict_custom_vjp: forward mode through a custom_vjp function is refused, as in
        JAX. Else its pushforward is the transpose of its backward rule.
      strict_while: reverse mode through `lax.while_loop`, and through `lax.fori_loop`
        with dynamic bounds, is refused, as in JAX. Else it goes by taped blocks.
      loop_bytes: what reverse mode may keep for one such loop: the states that blocks
        start from, and one block's tape. None (the default): 64 kB, or where a state
        is larger than 256 bytes, about 300 states. It holds for loops of known length,
        too (`lax.scan`), whose whole tape is kept by default: within fewer bytes they
        go by blocks, from as many starts as have room, for the least number of steps.
      memory: bytes, or a text such as "60MB": each reverse-mode derivative is planned
        as by `jaxbp.checkpointed`, so that its program keeps within them; a function's
        Python code may then not look at values. None (the default): nothing is.
      foreign_rules: "jax" (the default): a primitive of another package that has no
        rule here, and rules in JAX's tables, is differentiated by these. None: it is
        refused.
      open_calls: inner jits are walked in line, so that every equation has an edge of
        its own. False: they stay calls of compiled programs.

    Raises:
      UnknownName: no field is called so.
      InvalidArgument: a value that a field does not take.
    """

    scan_residuals: str = "auto"
    scan_stack_limit_bytes: int | None = None
    sums_early: bool = True
    strict_custom_vjp: bool = False
    strict_while: bool = False
    loop_bytes: int | None = None
    memory: int | str | None = None
    foreign_rules: str | None = "jax"
    open_calls: bool = False

    def __new__(cls, *_, **fields):  # before Python's own TypeError, which helps less
        _check_known(fields)
        return super().__new__(cls)

    def __post_init__(self):
        for name, words in _WORDS.items():
            _check(name, getattr(self, name), words)
        for name in ("scan_stack_limit_bytes", "loop_bytes"):
            object.__setattr__(self, name, _bytes_or_none(name, getattr(self, name)))
        if self.memory is not None:
            object.__setattr__(self, "memory", bytes_of(self.memory, "memory"))
        object.__setattr__(self, "_hash", hash(dataclasses.astuple(self)))

    def __hash__(self):  # once: they are part of every cache's key
        return self._hash  # pyright: ignore[reportAttributeAccessIssue]


_WORDS = {
    "scan_residuals": ("auto", "stack", "recompute"),
    "sums_early": (True, False),
    "strict_custom_vjp": (True, False),
    "strict_while": (True, False),
    "foreign_rules": ("jax", None),
    "open_calls": (True, False),
}


def _check(name: str, value, words: tuple) -> None:
    if not any(type(value) is type(word) and value == word for word in words):
        *most, last = [f'"{w}"' if isinstance(w, str) else str(w) for w in words]
        listed = " or ".join([", ".join(most), last])
        raise InvalidArgument(f"`{name}` must be {listed}, but is {value!r}.")


def _bytes_or_none(name: str, limit) -> int | None:
    found = _whole(limit)
    if limit is not None and found is None:
        raise InvalidArgument(
            f"`{name}` must be a number of bytes, 0 or more, or None for the default, "
            f"but is {limit!r}."
        )
    return found


def _whole(number: Any) -> int | None:
    """A whole number that is not negative, of whatever type, 6e7 too; else None."""
    if isinstance(number, bool):
        return None
    if isinstance(number, float):
        return int(number) if number.is_integer() and number >= 0 else None
    try:
        found = operator.index(number)
    except TypeError:
        return None
    return found if found >= 0 else None


def whole(name: str, number: Any, least: int = 0) -> int:
    """`number` as an int.

    Raises:
      InvalidArgument: it is no whole number, or below `least`.
    """
    found = _whole(number)
    if found is None or found < least:
        raise InvalidArgument(
            f"`{name}` must be a whole number, {least} or more, but is {number!r}."
        )
    return found


_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def bytes_of(budget: int | str, name: str = "budget") -> int:
    """A number of bytes from a number, or from such as "60MB" or "1.5 GiB".

    Raises:
      InvalidArgument: it is neither, or negative; `name` says what it is.
    """
    if (size := _whole(budget)) is not None:
        return size
    found = isinstance(budget, str) and re.fullmatch(
        r"\s*(\d+\.?\d*)\s*([kmgt]?)(i?)b?\s*", budget, re.IGNORECASE
    )
    if not found:
        raise InvalidArgument(
            f"`{name}` must be a number of bytes, 0 or more, or a text such as "
            f'"60MB" or "1.5 GiB", but is {budget!r}.'
        )
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _UNITS[unit.lower()])


def _check_known(changes: dict[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(Options)]
    for name in changes:
        if name not in known:
            raise UnknownName(f"no option is called `{name}`. {nearest(name, known)}")


_DEFAULT = Options()
_in_force: ContextVar[Options] = ContextVar("jaxbp_options", default=_DEFAULT)
current = _in_force.get  # the options in force here


class Within(contextlib.ContextDecorator):
    """Sets the options in force within a `with` block."""

    def __init__(self, options: Options):
        self.options = options
        self._tokens: list[Token] = []

    def __repr__(self) -> str:
        return f"a context manager of {self.options}: enter it by `with`"

    def __enter__(self) -> Options:
        self._tokens.append(_in_force.set(self.options))
        return self.options

    def __exit__(self, *error) -> None:
        _in_force.reset(self._tokens.pop())


_NOTHING = contextlib.nullcontext()


def using(options: Options | None):
    """A context manager that sets the options in force; None leaves them.

    Raises:
      InvalidArgument: `options` is neither.
    """
    if options is None:
        return _NOTHING
    if not isinstance(options, Options):
        raise InvalidArgument(
            f"`options` must be a jaxbp.Options or None, but is {options!r}. Write "
            "jaxbp.Options(sums_early=False), for example."
        )
    return Within(options)


def options(**changes: Any) -> Within:
    """Options for all derivatives recorded within: `with jaxbp.options(...):`.

    Args:
      **changes: fields of `jaxbp.Options`; what is not named stays as it is.

    Returns:
      A context manager: it does nothing until a `with` statement enters it. What
      `jax.jit` has traced before is not traced again: pass `options=` to `grad` and its
      kin where the derivative is jitted.

    Raises:
      UnknownName: no option is called so.
      InvalidArgument: a value that the option does not take.
    """
    _check_known(changes)
    return Within(dataclasses.replace(current(), **changes))


# The four switches, as thin spellings of it ------------------------------------


def loops(residuals: str = "auto", stack_limit_bytes: int | None = None) -> Within:
    """`with jaxbp.loops("recompute"):` is `options(scan_residuals="recompute")`.

    Args:
      residuals: "auto", "stack" or "recompute": see `Options.scan_residuals`.
      stack_limit_bytes: see `Options.scan_stack_limit_bytes`.
    """
    return options(scan_residuals=residuals, scan_stack_limit_bytes=stack_limit_bytes)


def association(early: bool = True) -> Within:
    """`with jaxbp.association(False):` is `options(sums_early=False)`."""
    return options(sums_early=early)


def strict_custom_vjp() -> Within:
    """`with jaxbp.strict_custom_vjp():` is `options(strict_custom_vjp=True)`.

    Within, forward mode through a custom_vjp function is an InvalidArgument, which is
    a TypeError, as in JAX.
    """
    return options(strict_custom_vjp=True)


def foreign(rules: str | None) -> Within:
    """`with jaxbp.foreign(None):` is `options(foreign_rules=None)`.

    Args:
      rules: "jax": primitives of other packages that have no rule here use JAX's, which
        is the default; None: they are refused.
    """
    return options(foreign_rules=rules)
