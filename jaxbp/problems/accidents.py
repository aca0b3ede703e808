"""Functions as people write them whose gradient is not finite, and some whose is.

The line at which the NaN or Inf is born ends in `# here`. `jaxbp.explain_nan` and the
study `nan_births` are held to them.
"""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Accident(NamedTuple):
    """A function at a point at which its gradient is not finite.

    Fields:
      f, args: differentiated by the first argument.
      kind: what happens. primitive: at which operation.
      masked: a select drops the value.
      step: of the innermost loop. index: of the element.
      gradient: what it is once the remedy is pasted; None: finite is all that is asked.
      pasted: whether the remedy is an expression to be pasted.
    """

    f: Any
    args: tuple
    kind: str
    primitive: str
    masked: bool = False
    step: int | None = None
    index: tuple | None = None
    gradient: Any = None
    pasted: bool = True


def rooted(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))  # here


def entropy(p):
    log_p = jnp.log(p)  # here
    return -jnp.sum(jnp.where(p > 0, p * log_p, 0.0))


def entropy_bare(p):
    return -jnp.sum(p * jnp.log(p))  # here


def length(x):
    return jnp.linalg.norm(x)  # here


def lengths(x):
    return jnp.sum(jnp.linalg.norm(x, axis=-1))  # here


def spread(x):
    return jnp.std(x, axis=0).sum()  # here


def direction(x):
    n = jnp.sqrt(jnp.sum(x**2))  # here
    return jnp.sum(jnp.where(n > 0, x / jnp.where(n > 0, n, 1.0), 0.0))


def log_sum_exp(x):
    return jnp.log(jnp.sum(jnp.exp(x)))  # here


def soft_plus(x):
    return jnp.sum(jnp.log(1 + jnp.exp(x)))  # here


def logistic(x):
    return jnp.sum(1 / (1 + jnp.exp(-x)))  # here


def growth(x, times):
    def body(h, t):
        return h * jnp.sqrt(jnp.abs(x[0] - t)) + 1.0, h  # here

    return lax.scan(body, 1.0, times)[0]


def marching(x):
    def body(i, p):
        return p + jnp.where(p > 0.45, jnp.sqrt(p - 0.5), x[0] * 0.1)  # here

    return lax.fori_loop(0, 8, body, 0.0)


def nested(x):
    def inner(h, t):
        return h + jnp.log(jnp.abs(x[0] - t)), None  # here

    def outer(h, s):
        return lax.scan(inner, h, s + jnp.arange(4.0))[0], None

    total = lax.scan(outer, 0.0, jnp.arange(3.0) * 10)[0]
    return jnp.where(jnp.isfinite(total), total, 0.0)


def angle(x):
    return jnp.sum(jax.vmap(lambda r: jnp.arccos(r[0]) * r[1])(x))  # here


def heading(p):
    return jnp.sum(jnp.arctan2(p[0], p[1]))  # here


def power(x):
    return jnp.sum(x**0.5)  # here


def ratio_of(b):
    a = jnp.ones(3)
    return jnp.sum(jnp.where(b != 0, a / b, 0.0))  # here


def in_branch(x):
    def root(y):
        return jnp.sum(jnp.sqrt(y))  # here

    return lax.cond(x[0] >= 0, root, jnp.sum, x)


def remade(x):
    @jax.checkpoint
    def block(y):
        return jnp.sqrt(y) * y  # here

    return jnp.sum(block(x) * 2)


def helper(y):
    return jnp.sqrt(y) * 3  # here


def jitted_inside(x):
    return jnp.sum(jax.jit(helper)(x))


@jax.custom_vjp
def own(x):
    return jnp.abs(x)


def own_forward(x):
    return jnp.abs(x), x


def own_backward(x, y_bar):
    sign = x / jnp.abs(x)
    return (y_bar * sign,)


own.defvjp(own_forward, own_backward)


def custom_reverse(x):
    return jnp.sum(own(x) * 2)  # here


@jax.custom_jvp
def scaled_root(x):
    return jnp.sqrt(x)


@scaled_root.defjvp
def scaled_root_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    y = jnp.sqrt(x)
    return y, x_dot * 0.5 / y  # here


def custom_forward(x):
    return jnp.sum(scaled_root(x))


def half_precision(x):
    h = x.astype(jnp.float16)
    return jnp.sum(jnp.exp(h)).astype(jnp.float32)  # here


def brain_float(x):
    h = x.astype(jnp.bfloat16)
    return jnp.sum((h * h) ** 2).astype(jnp.float32)  # here


def missing(x, data):
    return jnp.sum(jnp.where(jnp.isnan(data), 0.0, (x - data) ** 2 * x))  # here


def hinge(x):
    return jnp.sum(jnp.where(x > 1, jnp.log(x), jnp.exp(1 / (x - 1) ** 2)))  # here


def cosine(a, b):
    na = jnp.linalg.norm(a)  # here
    return jnp.dot(a, b) / jnp.maximum(na * jnp.linalg.norm(b), 1e-8)


def degenerate(a):
    _, vectors = jnp.linalg.eigh(a + a.T)  # here
    return vectors[0, 1] ** 2 + vectors[1, 0]


def squared_away(x):
    y = jnp.sqrt(x)  # here
    return jnp.sum(y**3)


def reciprocal(x):
    return jnp.sum(jnp.where(x > 0, x**-1, 0.0))  # here


def one_step_batch(x):
    def run(x0):
        def body(h, t):
            return h + jnp.sqrt(jnp.abs(x0 - t)), None  # here

        return lax.scan(body, 0.0, jnp.arange(5.0))[0]

    return jnp.sum(jax.vmap(run)(x))


def masked_rows(q, mask):
    scores = jnp.where(mask, q @ q.T, -jnp.inf)
    return jnp.sum((jax.nn.softmax(scores, axis=-1) @ q) ** 2)  # here


def blow_up(x):
    def step(i, y):
        return y + 0.1 * y**2  # here

    # In one precision, whose largest number says at which step.
    return lax.fori_loop(0, 40, step, x[0].astype(jnp.float32))


def alignments(logits):
    def both(a, b):
        m = jnp.maximum(a, b)
        return m + jnp.log(jnp.exp(a - m) + jnp.exp(b - m))  # here

    def step(alpha, t):
        moved = jnp.concatenate([jnp.array([-jnp.inf]), alpha[:-1]])
        return both(alpha, moved) + logits[t], None

    start = jnp.array([0.0, -jnp.inf, -jnp.inf])
    return -lax.scan(step, start, jnp.arange(3))[0][-1]


def cross_entropy(logits, labels):
    p = jax.nn.softmax(logits)
    return -jnp.mean(jnp.log(p[jnp.arange(2), labels]))  # here


def unit_rows(x):
    def unit(r):
        return r / jnp.linalg.norm(r)  # here

    return jnp.sum(jax.vmap(unit)(x) ** 3)


def inverse(a):
    return jnp.trace(jnp.linalg.inv(a))  # here


def _x(*numbers):
    return (np.array(numbers, float),)


_A = Accident
_NONE: dict[str, Any] = dict(pasted=False)
_ZEROS: dict[str, Any] = dict(gradient=[0, 0, 0])
ACCIDENTS = [
    _A(rooted, _x(1, 0, 4), "0 x inf", "sqrt", True, None, (1,), [0.5, 0, 0.25]),
    _A(entropy, _x(0.5, 0), "0 x inf", "log", True, None, (1,)),
    _A(entropy_bare, _x(0.5, 0), "0 x inf", "log"),
    _A(length, (np.zeros(3),), "pole", "sqrt", **_ZEROS),
    _A(lengths, _x([3, 4], [0, 0]), "pole", "sqrt", index=(1,),
       gradient=[[0.6, 0.8], [0, 0]]),
    _A(spread, _x([1, 2], [1, 3]), "pole", "sqrt", index=(0,)),
    _A(direction, (np.zeros(3),), "0 x inf", "sqrt", True, **_ZEROS),
    _A(log_sum_exp, _x(1000, 0), "overflow", "exp", index=(0,), **_NONE),
    _A(soft_plus, _x(1, 1000), "overflow", "exp", index=(1,), **_NONE),
    _A(logistic, _x(1, -1000), "overflow", "exp", index=(1,), **_NONE),
    _A(growth, (np.array([7.0]), np.arange(10.0)), "pole", "sqrt", step=7),
    _A(marching, _x(1), "pole", "sqrt", step=7),
    _A(nested, _x(12), "0 x inf", "log", step=2, **_NONE),
    _A(angle, _x([0.5, 1], [1, 2], [0, 3]), "pole", "acos", index=(1,)),
    _A(heading, (np.zeros((2, 2)),), "0 / 0", "atan2"),
    _A(power, _x(4, 0), "pole", "pow", index=(1,), gradient=[0.25, 0]),
    _A(ratio_of, _x(1, 0, 2), "0 x inf", "div", True, None, (1,), [-1, 0, -0.25]),
    _A(in_branch, _x(0, 1), "pole", "sqrt", index=(0,), gradient=[0, 0.5]),
    _A(remade, _x(0, 1), "0 x inf", "sqrt", index=(0,), gradient=[0, 3]),
    _A(jitted_inside, _x(0, 1), "pole", "sqrt", index=(0,), **_NONE),
    _A(custom_reverse, _x(1, 0), "0 / 0", "own", index=(1,), **_NONE),
    _A(custom_forward, _x(0, 1), "pole", "scaled_root", index=(0,), **_NONE),
    _A(half_precision, _x(12, 1), "overflow", "exp", index=(0,), **_NONE),
    _A(brain_float, _x(1e15, 1), "overflow", "mul", **_NONE),
    _A(missing, (*_x(1, 2), *_x(np.nan, 1)), "NaN already", "mul", True, None, (0,),
       **_NONE),
    _A(cosine, (np.zeros(3), np.ones(3)), "0 x inf", "sqrt"),
    _A(degenerate, (np.eye(2),), "", "eigh", **_NONE),
    _A(squared_away, _x(0, 1), "0 x inf", "sqrt", index=(0,), gradient=[0, 1.5]),
    _A(reciprocal, _x(0, 2), "0 x inf", "integer_pow", True, None, (0,), [0, -0.25]),
    _A(one_step_batch, _x(0.5, 3), "pole", "sqrt", step=3, index=(1,)),
    _A(masked_rows, (np.array([[1.0, 2], [3, 4]]), np.eye(2) * [1, 0] > 0),
       "inf - inf", "sub", index=(1, 0), gradient=[[4, 7], [2, 3]]),
    _A(blow_up, _x(2), "infinite already: overflow", "integer_pow", step=12, **_NONE),
    _A(alignments, _x(0, 0, 3), "NaN already: inf - inf", "sub", step=0, index=(2,),
       gradient=[-1, -1, -1]),
    _A(cross_entropy, (np.array([[1000.0, -1000], [2000, 0]]), np.array([0, 1])),
       "pole", "log", index=(1,), gradient=[[0, 0], [0.5, -0.5]]),
    _A(unit_rows, _x([3, 4], [0, 0]), "0 / 0", "div", index=(1, 0)),
    _A(inverse, _x([1, 2], [2, 4]), "singular", "custom_linear_solve", **_NONE),
]  # fmt: skip
CALLED = {jitted_inside: helper, custom_forward: scaled_root_jvp}


def born_at(accident: Accident) -> int:
    """The number of the line of this file at which it happens."""
    f = CALLED.get(accident.f, accident.f)
    lines, first = inspect.getsourcelines(f)
    return next(n for n, line in enumerate(lines, first) if "# here" in line)


# Gradients that are finite: nothing may be told of them. ------------------------------


def double_where(x):
    safe = jnp.where(x > 0, x, 1.0)
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(safe), 0.0))


def masked_softmax(x):
    kept = jnp.array([True, False, True])
    return jax.nn.softmax(jnp.where(kept, x, -jnp.inf))[0]


def log_of_inf(x):
    return jnp.sum(jnp.where(x > 0, x, -jnp.inf).max()) + jnp.sum(x**2)


def inf_value(x):
    return jnp.sum(x) + jnp.inf


def clipped(x):
    return jnp.sum(jnp.clip(jax.nn.relu(x), 0.0, 1.0) + jnp.abs(x))


def stopped(x):
    return jnp.sum(lax.stop_gradient(jnp.sqrt(x)) + x)


def counted(x):
    table = jnp.where(x > 0, jnp.log(jnp.maximum(x, 1e-30)), -jnp.inf)
    return jnp.sum(jnp.where(jnp.isfinite(table), x, 0.0) * x)


CONTROLS = [
    (double_where, np.array([1.0, 0.0])),
    (masked_softmax, np.array([1.0, 2.0, 3.0])),
    (log_of_inf, np.array([1.0, -2.0])),
    (inf_value, np.array([1.0, -2.0])),
    (clipped, np.array([0.0, -2.0, 1.0])),
    (stopped, np.array([0.0, 2.0])),
    (counted, np.array([0.0, 3.0])),
]
