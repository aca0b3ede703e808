"""The scalar tape: known derivatives, both modes, depth, and what it refuses."""

import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.errors import DtypeMismatch, InvalidArgument
from jaxbp.scalar import Value, cos, exp, log, logistic, order, relu, sin, tanh


def derivatives(f, *args):
    """Value, gradients by one reverse sweep, the same by one forward sweep each."""
    values = [Value(x) for x in args]
    y = f(*values)
    y.backward()
    by_forward = [y.forward({value: 1.0}) for value in values]
    return y.data, [value.grad for value in values], by_forward


def micrograd_readme(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def several_paths(a):
    b1 = 2 * a
    b2 = 3 * a + b1
    return 4 * b1 + 5 * b2


def later_reuse(a):
    b = a**2
    return b + b**2


def left(a):
    u = a**2
    return u * (u + 1)


def right(a):
    u = a**2
    return (u + 1) * u


# Function, point, value, gradient. The second to the sixth fail in any sweep that
# passes a gradient on before it is complete.
KNOWN = [
    (
        micrograd_readme,
        (-4.0, 2.0),
        24.70408163265306,
        (138.83381924198252, 645.5772594752186),
    ),
    (several_paths, (1.0,), 33.0, (33.0,)),
    (later_reuse, (2.0,), 20.0, (36.0,)),
    (left, (3.0,), 90.0, (114.0,)),
    (right, (3.0,), 90.0, (114.0,)),
    (lambda a, b: (a + b) + a * b + (a + b) * (a * b), (2.0, 3.0), 41.0, (25.0, 19.0)),
    (lambda x: (x + 2) ** 2 + x**3, (5.0,), 174.0, (89.0,)),
    (
        lambda x1, x2: log(x1) + x1 * x2 - sin(x2),
        (2.0, 5.0),
        11.652071455223084,
        (5.5, 1.7163378145367738),
    ),
]


@pytest.mark.parametrize(("f", "args", "value", "gradient"), KNOWN)
def test_known_values_and_gradients(f, args, value, gradient):
    found, reverse, forward = derivatives(f, *args)
    assert found == pytest.approx(value, rel=1e-15)
    assert reverse == pytest.approx(gradient, rel=1e-14)
    assert forward == pytest.approx(gradient, rel=1e-14)


def test_every_intermediate_of_a_published_table():
    x1, x2 = Value(2.0, "x1"), Value(5.0, "x2")
    y = log(x1) + x1 * x2 - sin(x2)
    y.backward()
    computed = [(v.op, v.data, v.grad) for v in order(y) if v.op]
    known = {  # Baydin et al. 2018, tables 2 and 3
        "log": (0.693147180560, 1.0),
        "*": (10.0, 1.0),
        "sin": (-0.958924274663, -1.0),
        "+": (10.693147180560, 1.0),
        "-": (11.652071455223, 1.0),
    }
    assert {op for op, *_ in computed} == set(known)
    for op, data, grad in computed:
        assert (data, grad) == pytest.approx(known[op], abs=5e-13)


# Each operation on Values, and the same on JAX's numbers, away from kinks.
OPERATIONS = [
    (exp, jnp.exp, (0.3,)),
    (log, jnp.log, (0.3,)),
    (cos, jnp.cos, (0.3,)),
    (tanh, jnp.tanh, (-0.7,)),
    (logistic, jax.nn.sigmoid, (-0.7,)),
    (logistic, jax.nn.sigmoid, (1.7,)),
    (relu, jax.nn.relu, (0.7,)),
    (relu, jax.nn.relu, (-0.7,)),
    (abs, abs, (-0.7,)),
    *[(f, f, (1.3, -0.4)) for f in (operator.sub, operator.truediv, operator.pow)],
    (lambda x: 2 - x, lambda x: 2 - x, (1.3,)),
    (lambda x: 2 / x, lambda x: 2 / x, (1.3,)),
    (lambda x: 2**x, lambda x: 2.0**x, (1.3,)),
    (lambda x: x**-2, lambda x: x**-2, (-1.3,)),
    (lambda x: x**0, lambda x: x**0, (0.0,)),
    (lambda x: x**0.5, lambda x: x**0.5, (2.0,)),
]


@pytest.mark.parametrize(("ours", "theirs", "args"), OPERATIONS)
def test_operations_against_the_engine(ours, theirs, args):
    value, reverse, forward = derivatives(ours, *args)
    argnums = tuple(range(len(args)))
    theirs_value, gradient = jaxbp.value_and_grad(theirs, argnums)(*args)
    assert value == pytest.approx(float(theirs_value), rel=1e-15)
    assert reverse == forward == pytest.approx([float(g) for g in gradient], rel=1e-14)


def test_a_chain_of_100_000_is_swept_and_deleted():
    x = Value(1.0)
    y = x
    for _ in range(50_000):
        y = -(y + x)
    y.backward()
    assert len(order(y)) == 100_001
    assert x.grad == y.forward({x: 1.0}) == 1.0  # y alternates between -2 x and x
    del y


def test_gradients_start_anew_and_scale_with_the_seed():
    x = Value(3.0)
    y = x * x
    y.backward()
    y.backward(seed=2.0)
    assert (x.grad, y.grad) == (12.0, 2.0)


def test_forward_mode_from_an_intermediate_value():
    x = Value(2.0)
    u = x * x
    assert (u * u).forward({u: 1.0}) == 8.0


def test_numbers_mix_and_compare():
    x = Value(2.0, "x")
    assert float(np.float64(3) * x) == 6.0 and float(x - np.float32(1)) == 1.0
    assert 1 < x <= 2 and x > Value(1.0) and not x < 2
    assert bool(Value(0.0)) is False and x == x and x != Value(2.0)
    assert float(sum([x, x, 1])) == 5.0 and f"{x:.1f}" == "2.0"
    assert repr(x) == "Value(data=2.0, grad=0.0, label='x')"
    assert f"{Value(1)}" == "Value(data=1.0, grad=0.0)"


@pytest.mark.parametrize("wrong", ["1", None, 1j, [1.0], np.ones(2), object()])
def test_what_is_no_number(wrong):
    with pytest.raises(DtypeMismatch, match="holds one real number, but"):
        Value(wrong)
    with pytest.raises(DtypeMismatch, match="Make one Value for each number"):
        Value(1.0) * wrong


@pytest.mark.parametrize("wrong", [math.nan, math.inf, np.float32("nan")])
def test_what_is_not_finite(wrong):
    with pytest.raises(InvalidArgument, match="must hold a finite number, but"):
        Value(wrong)


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: 1 / x, (0.0,)),
        (log, (0.0,)),
        (log, (-1.0,)),
        (exp, (1000.0,)),
        (lambda x: x**0.5, (0.0,)),  # a value, but no finite slope
        (lambda x: x**0.5, (-1.0,)),
        (lambda x: x**-1, (0.0,)),
        (lambda x, n: x**n, (-2.0, 2.0)),  # no slope by the exponent
        (lambda x: x * 1e308, (10.0,)),
    ],
)
def test_outside_the_domain(f, args):
    with pytest.raises(InvalidArgument, match="must have a finite value and finite sl"):
        f(*[Value(x, f"x{i}") for i, x in enumerate(args)])


def test_nan_put_in_later_is_named():
    x = Value(1.0, "weight")
    x.data = math.nan
    with pytest.raises(InvalidArgument, match="data=nan, grad=0.0, label='weight'"):
        x + 1


def test_a_gradient_that_overflows():
    x = Value(1e-200)
    y = x * 1e200 * 1e200
    with pytest.raises(InvalidArgument, match="a gradient overflows"):
        y.backward()


def test_seeds_are_keyed_by_values():
    with pytest.raises(DtypeMismatch, match="`seeds` is keyed by Values"):
        Value(1.0).forward({"x": 1.0})


def test_an_output_that_is_no_value():
    with pytest.raises(DtypeMismatch, match="`output` must be a Value, but is 3.0 of"):
        order(3.0)
