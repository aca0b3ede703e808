"""A tape of single numbers: forward and reverse mode, to be read in one sitting.

A `Value` is a number that remembers how it was computed: from which numbers, its
parents, and with which local slope by each. These slopes are all that a derivative
needs. Forward mode walks the graph from the inputs on and multiplies tangents by
slopes; reverse mode walks it back from the output and does the same to gradients.

    >>> a = Value(-4.0)
    >>> b = Value(2.0)
    >>> y = a * b + b**3
    >>> y.backward()
    >>> y.data, a.grad, b.grad
    (0.0, 2.0, 8.0)

Source: the interface is that of micrograd, https://github.com/karpathy/micrograd.
"""

import math
import operator
from collections.abc import Callable, Mapping

from ..errors import DtypeMismatch, InvalidArgument
from .operations import RULES, number, power


def _apply(name: str, rule: Callable, *operands) -> "Value":
    """One entry on the tape: a new value with its parents and slopes."""
    parents = [x if isinstance(x, Value) else Value(x) for x in operands]
    try:
        data, *slopes = rule(*[parent.data for parent in parents])
        if all(map(math.isfinite, (data, *slopes))):
            return Value(data, op=name, parents=tuple(parents), slopes=tuple(slopes))
    except (ArithmeticError, ValueError):  # 1 / 0, log(-1), exp(1000), ...
        pass
    raise InvalidArgument(
        f"`{name}` must have a finite value and finite slopes, but has not at "
        f"{', '.join(map(repr, parents))}. Keep its operands away from there."
    )


def _operation(name: str) -> Callable[..., "Value"]:
    """The function, or method, that applies a rule; numbers may be among operands."""

    def operation(*operands):
        return _apply(name, RULES[name], *operands)

    operation.__name__, operation.__doc__ = name, f"`{name}` of numbers or Values."
    return operation


def _reflected(name: str):
    """2 - x reads as `x.__rsub__(2)`."""
    return lambda self, other: _apply(name, RULES[name], other, self)


def _compared(compare):
    return lambda self, other: compare(self.data, number(other))


class Value:
    """A number, how it was computed, and its derivatives after a sweep.

    `+ - * / **`, `abs`, `exp`, `log`, `sin`, `cos`, `tanh`, `logistic`, `relu` mix
    values and numbers. `<`, `<=`, `>`, `>=`, `bool` and `float` look at the number;
    `==` asks for the same node of the graph. `relu` and `abs` have slope 0 at 0.

    Attributes:
      data: the number, a float.
      label: a name for error messages and pictures, "" if none.
      grad: d output / d self after `output.backward()`; 0.0 before.
      tangent: the directional derivative after `output.forward(seeds)`; 0.0 before.
      op: the name of the operation, "" for an input.
      parents: the values it was computed from.
      slopes: d self / d parent, one a parent, at the numbers of that moment.

    Raises:
      DtypeMismatch: an operand is no number.
      InvalidArgument: an operand, the result or a slope is NaN or infinite.
    """

    __slots__ = ("data", "label", "grad", "tangent", "op", "parents", "slopes")
    __array_ufunc__ = None  # NumPy's numbers leave the arithmetic to us

    def __init__(self, data, label: str = "", *, op="", parents=(), slopes=()):
        self.data, self.label = number(data), label
        self.op, self.parents, self.slopes = op, parents, slopes
        self.grad = self.tangent = 0.0

    __add__, __radd__ = _operation("+"), _reflected("+")
    __sub__, __rsub__ = _operation("-"), _reflected("-")
    __mul__, __rmul__ = _operation("*"), _reflected("*")
    __truediv__, __rtruediv__ = _operation("/"), _reflected("/")
    __neg__, __abs__ = _operation("neg"), _operation("abs")
    __rpow__ = _reflected("**")
    exp, log, sin, cos = map(_operation, ("exp", "log", "sin", "cos"))
    tanh, logistic, relu = map(_operation, ("tanh", "logistic", "relu"))

    def __pow__(self, exponent):
        if isinstance(exponent, Value):
            return _apply("**", RULES["**"], self, exponent)
        exponent = number(exponent)
        return _apply(f"**{exponent:g}", power(exponent), self)

    __lt__, __le__ = _compared(operator.lt), _compared(operator.le)
    __gt__, __ge__ = _compared(operator.gt), _compared(operator.ge)

    def __float__(self):
        return self.data

    def __bool__(self):
        return self.data != 0

    def __format__(self, spec):
        return format(self.data, spec) if spec else repr(self)

    def __repr__(self):
        name = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data!r}, grad={self.grad!r}{name})"

    def push(self) -> None:
        """One step of forward mode: the tangent, from those of the parents."""
        for parent, slope in zip(self.parents, self.slopes, strict=True):
            self.tangent += slope * parent.tangent

    def pull(self) -> None:
        """One step of reverse mode: every parent gains slope times gradient."""
        for parent, slope in zip(self.parents, self.slopes, strict=True):
            parent.grad += slope * self.grad

    def forward(self, seeds: Mapping["Value", float]) -> float:
        """The directional derivative of self: one sweep of forward mode.

        Sets `tangent` of every value that self depends on.

        Args:
          seeds: the tangent per input; of the others it is 0.
        """
        if not all(isinstance(value, Value) for value in seeds):
            raise DtypeMismatch(f"`seeds` is keyed by Values, but has {[*seeds]!r}.")
        for value in order(self):
            value.tangent = number(seeds.get(value, 0.0))
            value.push()
        return self.tangent

    def backward(self, seed: float = 1.0) -> None:
        """Sets `grad` of every value that self depends on: one sweep of reverse mode.

        All of them start from 0: gradients of earlier sweeps are not added to.

        Args:
          seed: the gradient of self.
        """
        values = order(self)
        for value in values:
            value.grad = 0.0
        self.grad = number(seed)
        for value in reversed(values):
            value.pull()
        if not all(math.isfinite(value.grad) for value in values):
            raise InvalidArgument(f"a gradient overflows, going back from {self!r}.")


def order(output: Value) -> list[Value]:
    """Every value that `output` depends on, each after its parents.

    Walking back over this list, a value has received all of its gradient before it
    passes it on. The stack is a list: depth is bounded by memory alone.

    Raises:
      DtypeMismatch: `output` is no Value.
    """
    if not isinstance(output, Value):
        raise DtypeMismatch(
            f"`output` must be a Value, but is {output!r} of type "
            f"{type(output).__name__}. Compute it from Values."
        )
    found, seen, stack = [], set(), [(output, False)]
    while stack:
        value, ready = stack.pop()
        if ready:
            found.append(value)
        elif value not in seen:
            seen.add(value)
            stack.append((value, True))
            stack.extend((parent, False) for parent in value.parents)
    return found
