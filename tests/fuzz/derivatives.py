"""What is asked of a program: its derivatives, of two orders, by either module.

Each is (outer, inner, f) -> a function of (xs, x_dots, y_bars), f(*xs) -> list. Their
source is printed below a failing program.
"""

import jax


def jvp(outer, inner, f):
    return lambda xs, x_dots, y_bars: outer.jvp(f, xs, x_dots)


def vjp(outer, inner, f):
    def pulled(xs, x_dots, y_bars):
        y, pullback = outer.vjp(f, *xs)
        return y, pullback(y_bars)

    return pulled


def linearized(outer, inner, f):
    def pushed(xs, x_dots, y_bars):
        y, push = outer.linearize(f, *xs)
        return y, push(*x_dots)

    return pushed


def jvp_of_jvp(outer, inner, f):
    def pushed(xs, x_dots, y_bars):
        push = lambda *xs: inner.jvp(f, xs, x_dots)[1]  # noqa: E731
        return outer.jvp(push, xs, x_dots)[1]

    return pushed


def vjp_of_jvp(outer, inner, f):
    def pulled(xs, x_dots, y_bars):
        push = lambda *xs: inner.jvp(f, xs, x_dots)[1]  # noqa: E731
        return outer.vjp(push, *xs)[1](y_bars)

    return pulled


def jvp_of_vjp(outer, inner, f):
    def pushed(xs, x_dots, y_bars):
        pull = lambda *xs: inner.vjp(f, *xs)[1](y_bars)  # noqa: E731
        return outer.jvp(pull, xs, x_dots)[1]

    return pushed


def vjp_of_vjp(outer, inner, f):
    def pulled(xs, x_dots, y_bars):
        pull = lambda *xs: inner.vjp(f, *xs)[1](y_bars)  # noqa: E731
        return outer.vjp(pull, *xs)[1](x_dots)

    return pulled


FIRST = [jvp, vjp, linearized]
SECOND = [vjp_of_vjp, jvp_of_vjp, vjp_of_jvp, jvp_of_jvp]
NEEDS = {  # the modes that a derivative takes JAX through the program by
    jvp: {"jvp"},
    vjp: {"vjp"},
    linearized: {"jvp", "vjp"},
    jvp_of_jvp: {"jvp"},
    vjp_of_jvp: {"jvp", "vjp"},
    jvp_of_vjp: {"vjp"},
    vjp_of_vjp: {"vjp"},
}
# Around the program, and around the derivative as a whole.
INSIDE = {
    "f": lambda f: f,
    "jax.jit(f)": jax.jit,
    "jax.checkpoint(f)": jax.checkpoint,
}


def batched(derivative):
    """By vmap, over two equal points."""

    def twice(*operands):
        stacked = jax.tree.map(lambda x: jax.numpy.stack([x, x]), operands)
        return jax.vmap(derivative)(*stacked)

    return twice


OUTSIDE = {
    "derivative": lambda f: f,
    "jax.jit(derivative)": jax.jit,
    "batched(derivative)": batched,
}
