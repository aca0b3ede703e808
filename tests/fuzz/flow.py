"""Programs inside of programs: loops, branches, calls, custom rules, derivatives."""

import numpy as np

from tests.fuzz.domains import ANY
from tests.fuzz.scope import FLOATS, INTEGERS, REAL, WIDE
from tests.fuzz.shapes import filled, vector


def held(scope, dtypes=FLOATS):
    return scope.value(ANY, dtypes)


# Loops ----------------------------------------------------------------------------
# One body of three ends with its result beside a stopped one: what a step keeps of both
# is stacked, step by step.


def stepped(scope, samples, results):
    """A loop's body."""
    f = scope.function(samples, results=results)
    if scope.of([False, False, True]):
        return f
    name = scope.name("f")
    names = ", ".join(scope.name("a") for _ in samples)
    stop = (
        f"jax.tree.map(lambda y: lax.sin(y) * y * lax.stop_gradient(y), {f}({names}))"
    )
    scope.define(name, f"def {name}({names}):\n    return {stop}")
    return name


def scan(scope):
    """A carry, and perhaps columns; the body may use what is outside."""
    c, xs = held(scope), vector(scope)
    column = xs.array[0] if xs.shape[0] else np.ones(xs.shape[1:], xs.dtype)
    f = stepped(scope, [c.array, column], [0, 1])
    back = scope.of([False, True])
    return f"lax.scan({f}, {c}, {xs}, reverse={back})"


def scan_pair(scope):
    """Two carries, one of them perhaps never moving."""
    c, d = held(scope), held(scope)
    f = stepped(scope, [c.array, d.array], [0, 1])
    length = scope.of([2, 3, 1, 0])
    return f"lax.scan(lambda c, _: ({f}(*c), c[0]), ({c}, {d}), None, {length})[0]"


def fori(scope):
    c = held(scope)
    f = stepped(scope, [c.array], [0])
    return f"lax.fori_loop(0, {scope.of([2, 1, 3])}, lambda _, c: {f}(c), {c})"


def fori_counted(scope):
    """The body sees its step, as integers do: no tangent."""
    c = held(scope, WIDE)
    f = stepped(scope, [c.array], [0])
    step = f"lambda i, c: {f}(c) * jnp.asarray(i, {c}.dtype)"
    return f"lax.fori_loop(1, {scope.of([3, 2])}, {step}, {c})"


def while_loop(scope):
    """JAX has no reverse mode for it."""
    scope.only("jvp")
    c = held(scope)
    f = stepped(scope, [c.array], [0])
    limit = scope.of([2, 1, 3])
    return (
        f"lax.while_loop(lambda s: s[0] < {limit}, "
        f"lambda s: (s[0] + 1, {f}(s[1])), (0, {c}))[1]"
    )


def mapped(scope):
    xs = filled(scope)
    f = scope.function([xs.array[0]])
    return f"lax.map({f}, {xs})"


def associative(scope):
    xs = filled(scope)
    f = scope.function([xs.array[0], xs.array[0]], results=[0])
    return f"lax.associative_scan(jax.vmap({f}), {xs})"


LOOPS = [scan, scan_pair, fori, fori_counted, while_loop, mapped, associative]


# Branches -------------------------------------------------------------------------


def cond(scope):
    x, y = held(scope), held(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    f = scope.function([x.array, y.array], results=[0])
    g = scope.function([x.array, y.array], results=[0])
    return f"lax.cond({i} > 0, {f}, {g}, {x}, {y})"


def cond_on_number(scope):
    """The choice hangs on a differentiated value, far from where it turns."""
    x = held(scope, WIDE)
    f = scope.function([x.array], results=[0])
    g = scope.function([x.array], results=[0])
    turn = scope.of(["-1e4", "1e4"])
    return f"lax.cond(jnp.sum({x}) > {turn}, {f}, {g}, {x})"


def switch(scope):
    x = held(scope)
    i = scope.value(ANY, INTEGERS, lambda i: i.ndim == 0)
    names = [scope.function([x.array], results=[0]) for _ in range(3)]
    return f"lax.switch({i}, [{', '.join(names)}], {x})"


BRANCHES = [cond, cond_on_number, switch]


# Calls ----------------------------------------------------------------------------


def called(template):
    def row(scope):
        x, y = held(scope), held(scope)
        f = scope.function([x.array, y.array], scope.of([None, [0], [0, 1]]))
        return template.format(f=f, x=x, y=y)

    return row


def vmapped(scope):
    """Over an axis of one operand; another is shared, or mapped too."""
    x = filled(scope)
    a = scope.int(0, x.ndim - 1)
    y = held(scope)
    both = y.ndim > 0 and y.shape[0] == x.shape[a] and scope.of([True, False])
    f = scope.function([x.array.take(0, a), y.array[0] if both else y.array])
    return f"jax.vmap({f}, ({a}, {0 if both else None}))({x}, {y})"


POLICIES = ["dots_saveable", "everything_saveable", "nothing_saveable"]


def checkpoint_with(scope):
    x, y = held(scope), held(scope)
    f = scope.function([x.array, y.array], scope.of([None, [0]]))
    policy = f"jax.checkpoint_policies.{scope.of(POLICIES)}"
    return f"jax.checkpoint({f}, policy={policy})({x}, {y})"


CALLS = [
    called("jax.jit({f})({x}, {y})"),
    called("jax.checkpoint({f})({x}, {y})"),
    vmapped,
    checkpoint_with,
]


# Rules of its own -----------------------------------------------------------------
# The rule is the derivative of the function: of another one it would be open, to
# second order, whether a value in a loop or a checkpoint follows the one or the other.
# Its functions are closed: JAX differentiates no rule in what it closes over.


def custom_jvp(scope):
    x, y = held(scope), held(scope)
    f = scope.function([x.array, y.array], [0], closed=True)
    name = scope.name("f")
    scope.define(
        name,
        f"{name} = jax.custom_jvp({f})\n"
        f"{name}.defjvp(lambda primals, tangents: "
        f"({name}(*primals), jax.jvp({f}, primals, tangents)[1]))",
    )
    return f"{name}({x}, {y})"


def custom_vjp(scope):
    """JAX has no forward mode for it."""
    scope.only("vjp")
    x, y = held(scope), held(scope)
    f = scope.function([x.array, y.array], [0], closed=True)
    name = scope.name("f")
    scope.define(
        name,
        f"{name} = jax.custom_vjp({f})\n"
        f"{name}.defvjp(lambda x, y: ({f}(x, y), (x, y)), "
        f"lambda kept, y_bar: jax.vjp({f}, *kept)[1](y_bar))",
    )
    return f"{name}({x}, {y})"


CUSTOM = [custom_jvp, custom_vjp]


# Derivatives inside ---------------------------------------------------------------


def inner_grad(scope):
    x, y = held(scope, WIDE), held(scope)
    f = scope.function([x.array, y.array], results=[0])
    scope.needs("vjp")
    return f"ad.grad(lambda x: jnp.sum({f}(x, {y})))({x})"


def inner_jvp(scope):
    x = held(scope)
    v = scope.like(x)
    f = scope.function([x.array])
    scope.needs("jvp")
    return f"ad.jvp({f}, ({x},), ({v},))[1]"


def inner_vjp(scope):
    x = held(scope)
    y = scope.like(x)
    f = scope.function([x.array], results=[0])
    scope.needs("vjp")
    return f"ad.vjp({f}, {x})[1]({y})[0]"


def inner_linearize(scope):
    x = held(scope, WIDE)
    v = scope.like(x)
    f = scope.function([x.array], results=[0])
    scope.needs("jvp", "vjp")
    return f"ad.linearize({f}, {x})[1]({v})"


def inner_jacobian(scope):
    x = scope.value(ANY, REAL[:2], lambda v: v.ndim == 1 and 0 < v.size <= 3)
    f = scope.function([x.array], results=[0])
    scope.needs("jvp", "vjp")
    return f"ad.{scope.of(['jacrev', 'jacfwd'])}({f})({x})"


DERIVATIVES = [inner_grad, inner_jvp, inner_vjp, inner_linearize, inner_jacobian]
