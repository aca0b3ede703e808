"""Programs with loops of unknown length, as users write them.

Each takes `loop`, which is `lax.while_loop` or a bounded form of it, and a parameter.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

MOST = 40  # steps of the bounded form


def bounded(cond, body, init):
    """`lax.while_loop` for loops of at most `MOST` steps, as a scan."""

    def step(carry, _):
        return lax.cond(cond(carry), body, lambda c: c, carry), None

    init = jax.tree.map(jnp.asarray, init)
    return lax.scan(step, init, None, length=MOST)[0]


PROGRAMS = {}


def program(*point):
    def keep(f):
        PROGRAMS[f.__name__] = f, point
        return f

    return keep


@program(2.0)
def newton_square_root(loop, a):
    return loop(lambda x: abs(x * x - a) > 1e-9, lambda x: 0.5 * (x + a / x), a)


@program(0.3, 2.0)
def bisection_with_a_final_newton_step(loop, a, b):
    f = lambda x: x**3 + a * x - b  # noqa: E731

    def halve(ends):
        low, high = ends
        middle = 0.5 * (low + high)
        right = f(middle) < 0
        return jnp.where(right, middle, low), jnp.where(right, high, middle)

    ends = 0.0 * a, 2.0 + 0.0 * b
    x = loop(lambda e: e[1] - e[0] > 1e-6, halve, ends)[0]
    return x - f(x) / (3 * x * x + a)


@program(1.3)
def adaptive_ode_step(loop, k):
    """Heun with step control; rejected steps leave the state."""
    f = lambda t, y: -k * y + jnp.sin(t)  # noqa: E731

    def step(state):
        t, y, h = state
        h = jnp.minimum(h, 1.0 - t)
        k1 = f(t, y)
        k2 = f(t + h, y + h * k1)
        error = jnp.abs(0.5 * h * (k2 - k1))
        good = error < 1e-2
        t, y = jnp.where(good, t + h, t), jnp.where(good, y + 0.5 * h * (k1 + k2), y)
        return t, y, h * jnp.clip(0.9 * jnp.sqrt(1e-2 / (error + 1e-12)), 0.3, 2.0)

    return loop(lambda s: s[0] < 1.0 - 1e-9, step, (0.0 * k, 1.0 + 0 * k, 0.5 + 0 * k))[
        1
    ]


_SPD = np.array([[4.0, 1.0, 0.2], [1.0, 3.0, 0.5], [0.2, 0.5, 2.0]])


@program(np.array([1.0, 2.0, 3.0]), 0.1)
def conjugate_gradients(loop, b, ridge):
    a = _SPD + ridge * jnp.eye(3)

    def step(state):
        x, r, p, rr = state
        ap = a @ p
        alpha = rr / (p @ ap)
        x, r = x + alpha * p, r - alpha * ap
        new = r @ r
        return x, r, r + new / rr * p, new

    start = jnp.zeros(3), b, b, b @ b
    return jnp.sum(loop(lambda s: s[3] > 1e-12, step, start)[0] ** 2)


@program(np.array([0.1, 0.2]), 1.0)
def ray_marching(loop, origin, radius):
    """Sphere tracing to the surface of a sphere, then shading."""
    way = jnp.array([1.0, 0.0])
    centre = jnp.array([3.0, 0.0])

    def distance(t):
        return jnp.linalg.norm(origin + t * way - centre) - radius

    t = loop(lambda t: distance(t) > 1e-6, lambda t: t + distance(t), 0.0 * radius)
    return jnp.sin(t) * t


@program(0.8, 0.3)
def kalman_to_steady_state(loop, q, r):
    a = jnp.array([[1.0, 0.1], [0.0, 0.9]])
    h = jnp.array([[1.0, 0.0]])

    def step(state):
        p, _ = state
        s = h @ p @ h.T + r
        gain = p @ h.T / s
        return a @ (p - gain @ h @ p) @ a.T + q * jnp.eye(2), p

    start = jnp.eye(2) * (1 + 0 * q), jnp.zeros((2, 2)) * q
    return jnp.trace(loop(lambda s: jnp.abs(s[0] - s[1]).max() > 1e-4, step, start)[0])


@program(0.7)
def rejection_sampling(loop, scale):
    def draw(state):
        key, _, _ = state
        key, one, two = jax.random.split(key, 3)
        x = jax.random.uniform(one, dtype=scale.dtype) * scale
        return key, x, jax.random.uniform(two, dtype=scale.dtype) > x / scale

    start = jax.random.key(3), 0.0 * scale, jnp.array(False)
    return loop(lambda s: ~s[2], draw, start)[1] ** 2


@program(np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 5.0]]))
def power_iteration(loop, a):
    def step(state):
        v, _ = state
        w = a @ v
        return w / jnp.linalg.norm(w), v

    v = jnp.ones(3) / jnp.sqrt(3.0)
    v, _ = loop(lambda s: jnp.abs(s[0] - s[1]).max() > 1e-4, step, (v, 0 * v))
    return v @ a @ v + v[0]


@program(np.array([[0.1, 0.5], [0.9, 0.3], [0.4, 0.4]]))
def sinkhorn(loop, cost):
    kernel = jnp.exp(-cost)
    p, q = jnp.ones(3) / 3, jnp.array([0.4, 0.6])

    def step(state):
        u, v, _ = state
        new = p / (kernel @ v)
        return new, q / (kernel.T @ new), jnp.abs(new - u).max()

    start = jnp.ones(3), jnp.ones(2), jnp.ones(())
    u, v, _ = loop(lambda s: s[2] > 1e-8, step, start)
    return jnp.sum(u[:, None] * kernel * v[None] * cost)


@program(2.0)
def simulated_annealing(loop, stiffness):
    def step(state):
        key, x, t = state
        key, one, two = jax.random.split(key, 3)
        y = x + t * jax.random.normal(one, dtype=x.dtype)
        worse = stiffness * (y * y - x * x)
        take = jax.random.uniform(two, dtype=x.dtype) < jnp.exp(-worse / t)
        return key, jnp.where(take, y, x * (1 - 0.01 * stiffness)), 0.8 * t

    start = jax.random.key(0), 1.0 * stiffness, jnp.ones_like(stiffness)
    return loop(lambda s: s[2] > 1e-2, step, start)[1]


@program(np.array([0.1, -0.2]), np.array([[0.3, 0.2], [-0.1, 0.4]]))
def equilibrium_of_a_layer(loop, x, w):
    def step(state):
        z, _ = state
        return jnp.tanh(w @ z + x), z

    z, _ = loop(lambda s: jnp.abs(s[0] - s[1]).max() > 1e-8, step, (0 * x, 1 + x))
    return jnp.sum(z**2)


@program(1.2, 0.4)
def gradient_descent_until_flat(loop, a, b):
    slope = lambda x: a * x + b * jnp.sin(x)  # noqa: E731
    return loop(
        lambda x: abs(slope(x)) > 1e-3, lambda x: x - 0.3 * slope(x), 2.0 + 0 * a
    )


@program(np.array([1.0, 2.0, 0.5, 3.0]))
def indexed_by_the_loop_variable(loop, x):
    def step(state):
        i, total = state
        return i + 1, total * jnp.sin(x[i % 4]) + x[(2 * i) % 4] * i

    return loop(lambda s: s[1] < 20.0, step, (0, 1.0 + 0 * x[0]))[1]


@program(np.array([0.5, 0.9, 0.7]))
def fills_a_buffer(loop, x):
    def step(state):
        i, buffer = state
        new = jnp.sin(buffer[i] * x[i % 3]) + 1
        return i + 1, buffer.at[i + 1].set(new)

    start = 0, jnp.ones(8) * x[0]
    return jnp.sum(loop(lambda s: s[0] < 7, step, start)[1] ** 2)


@program(0.9)
def a_while_in_a_while(loop, x):
    def outer(state):
        n, c = state
        c = loop(lambda d: d < 3.0, lambda d: d * (1 + x) + 0.1, c)
        return n + 1, jnp.abs(jnp.sin(c)) * x

    return loop(lambda s: s[0] < 4, outer, (0, x))[1]


@program(np.array([0.3, 0.6, 1.4]))
def a_while_in_a_scan(loop, xs):
    def step(carry, x):
        out = loop(lambda c: c < 5.0, lambda c: c * (1 + x) + carry, 1.0 + x)
        return jnp.sin(out), out

    total, outs = lax.scan(step, 0.1, xs)
    return total + outs.sum()


@program(np.array([0.3, 0.6, 1.4, 9.0]))
def a_vmapped_while(loop, xs):
    return jax.vmap(lambda x: loop(lambda c: c < 5.0, lambda c: c * (1 + x) + 0.1, x))(
        xs
    ).sum()


@program(np.array([[0.3, 0.6], [1.4, 0.9]]), 0.4)
def a_while_in_a_scan_in_a_vmap(loop, xs, w):
    def one(row):
        def step(carry, x):
            c = loop(lambda c: c < 3.0, lambda c: c * (1 + x * w) + 0.1, carry + x)
            return jnp.cos(c), c

        return lax.scan(step, 0.1, row)[1].sum()

    return jax.vmap(one)(xs).sum()


@program(0.7)
def in_a_branch(loop, x):
    def long(x):
        return loop(lambda c: c < 9.0, lambda c: c * c + x, x)

    return lax.cond(x > 0, long, lambda x: x, x)


@program(0.7)
def within_a_checkpoint(loop, x):
    @jax.checkpoint
    def part(x):
        return loop(lambda c: c < 9.0, lambda c: c * (1 + x) + jnp.sin(c), jnp.exp(x))

    return jnp.sin(part(x) * x)


@program(1.1)
def no_step_at_all(loop, x):
    return loop(lambda c: c < 0.0, lambda c: jnp.log(c), x) * x


@program(np.array(1.5), np.array([2.0, 3.0]))
def weights_carried_unchanged(loop, x, w):
    def step(state):
        i, x, w = state
        return i + 1, jnp.sin(x * w[0]) + w[1], w

    _, x, w = loop(lambda s: s[0] < 11, step, (0, x, w))
    return x * w.sum()


@program(np.array([0.4, 0.2]))
def complex_carry(loop, c):
    """An orbit of z^2 + c until it escapes."""
    c = lax.complex(c[0], c[1])
    z = loop(lambda z: jnp.abs(z) < 2.0, lambda z: z * z + c, 0 * c)
    return jnp.abs(z)


@program(3.0)
def pade_with_scaling(loop, x):
    """exp by scaling and squaring: integers counted up, then down."""
    n, y = loop(lambda s: abs(s[1]) > 0.1, lambda s: (s[0] + 1, s[1] / 2), (0, x))
    e = (1 + y / 2 + y * y / 12) / (1 - y / 2 + y * y / 12)
    return loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, s[1] ** 2), (n, e))[1]


@program(np.array([1.0, 4.0, 0.25]))
def batch_with_unbounded_steps_past_the_end(loop, xs):
    """sqrt(c - 1) has an infinite slope, then is NaN, where an element has ended."""

    def one(x):
        return loop(lambda c: c > 1.0, lambda c: c - jnp.sqrt(c - 1) - 0.5 * x, 2 + x)

    return jnp.sum(jax.vmap(one)(xs) * jnp.arange(1.0, 4.0))


@program(np.array([[0.3, 1.0, 0.2], [0.9, 0.1, 0.7], [0.4, 0.6, 0.5]]), 0.6)
def page_rank(loop, links, damping):
    links = links / links.sum(0, keepdims=True)

    def step(state):
        v, _ = state
        return damping * (links @ v) + (1 - damping) / 3, v

    start = jnp.ones(3) / 3, jnp.zeros(3)
    v, _ = loop(lambda s: jnp.abs(s[0] - s[1]).sum() > 1e-7, step, start)
    return jnp.sum(v * jnp.arange(3.0))


@program(9.81, 0.8, 3.0)
def bouncing_ball(loop, g, elasticity, height):
    """From event to event; the height at a given time."""

    def step(state):
        t, v, rest = state
        ahead = t + 2 * v / g
        hits = ahead < 3.0
        v = jnp.where(hits, elasticity * v, v)
        return jnp.where(hits, ahead, t), v, jnp.where(hits, rest, 3.0 - t)

    t = jnp.sqrt(2 * height / g)
    start = t, elasticity * g * t, -jnp.ones_like(g)
    _, v, rest = loop(lambda s: s[2] < 0, step, start)
    return v * rest - 0.5 * g * rest**2


@program(np.array([0.3, 0.7]))
def a_loop_in_the_condition(loop, x):
    def goes_on(c):
        add = lambda s: (s[0] + 1, s[1] + c[0] * s[0])  # noqa: E731
        return loop(lambda s: s[0] < 3, add, (0, 0 * c[0]))[1] < 12

    return jnp.sum(loop(goes_on, lambda c: c * 1.2 + 0.1 * jnp.cos(c), x))


@program(np.array([0.2, 0.4, 0.1]), np.array([0.9, 1.1, 0.8]))
def steepest_descent_with_a_line_search(loop, x, d):
    """Halves its step until it descends enough; a ring of the last two slopes."""
    value = lambda x: jnp.sum(d * x**2 + jnp.cos(x))  # noqa: E731
    slope = lambda x: 2 * d * x - jnp.sin(x)  # noqa: E731

    def step(state):
        n, x, ring = state
        g = slope(x) + 0.1 * ring[(n + 1) % 2]
        enough = lambda t: value(x - t * g) <= value(x) - 0.3 * t * (g @ g)  # noqa: E731
        t = loop(lambda t: ~enough(t), lambda t: 0.5 * t, jnp.ones(()))
        return n + 1, x - t * g, ring.at[n % 2].set(g)

    start = 0, x, jnp.zeros((2, 3))
    return jnp.sum(jnp.sin(loop(lambda s: s[0] < 4, step, start)[1]))
