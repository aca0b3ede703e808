"""What stands at one element of an operation: its operands, its outcome, its slope.

Of what works element by element, all that stands at one index belongs together. Of a
product of matrices it does not, though shapes may be alike: nothing is told of it then
but which operand is not finite.
"""

import numpy as np

from .recording import Equation
from .report import number
from .watch import Operation, bad_places, has_nan, is_bad

# Their operands are what solvers keep, no numbers of the user's.
HELD = ("custom_linear_solve",)


def operands(equation: Equation, index, shape) -> tuple:
    """The operands at an element, None where they have none."""
    if not equation.by_element:
        return ()
    return tuple(element(v, index, shape) for v in equation.values)


def spoilt_operand(equation: Equation, bad) -> str:
    """The first operand for which `bad` holds, where, and what stands there."""
    if equation.name in HELD:
        return ""
    for place, value in enumerate(equation.values):
        if bad(value):
            array = np.asarray(value)
            where = np.isnan(array) if has_nan(value) else bad_places(value)
            index = tuple(map(int, np.argwhere(where)[0]))
            at = f" at {index} of shape {array.shape}" if index else ""
            return f"{number(array[index])}{at}, in operand {place}"
    return ""


def value(equation: Equation, index, shape):
    """The outcome at an element: of several that which is not finite, if one is."""
    if not equation.by_element:
        return None
    outs = [element(y, index, shape) for y in equation.outs]
    if len(outs) == 1:
        return outs[0]
    return next((y for y in outs if y is not None and is_bad(y)), None)


def slope(edge, residuals, index, shape):
    """What the element is multiplied by, where that is one number."""
    try:
        coefficient = edge.map.coefficient(residuals)
    except (AttributeError, TypeError):
        return None
    return element(coefficient, index, shape)


def spoilt(equation: Equation):
    """The first outcome that holds a NaN; else that which holds an Inf."""
    outs = equation.outs
    by_nan = next((y for y in outs if has_nan(y)), None)
    return by_nan if by_nan is not None else next(filter(is_bad, outs), outs[0])


def at(operation: Operation, index, shape) -> Operation:
    """The operation at one element, where operands and outcome have such elements."""
    if not operation.by_element:
        return operation
    whole = [*operation.values, *operation.outs]
    found = [element(v, index, shape) for v in whole]
    if any(v is None for v in found):
        return operation
    count = len(operation.values)
    return operation._replace(values=found[:count], outs=found[count:])


def element(value, index, shape):
    """The element of `value` at an index of something of `shape`; None if it has no
    such element."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.ndim == 0:
        return array[()]
    if array.ndim != len(shape) or len(index) != array.ndim:
        return None
    if any(n not in (1, m) for n, m in zip(array.shape, shape, strict=True)):
        return None
    return array[
        tuple(i if n > 1 else 0 for i, n in zip(index, array.shape, strict=True))
    ]
