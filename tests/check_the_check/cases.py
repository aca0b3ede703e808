"""Functions whose gradients are right: random programs, models fresh and trained."""

import re
from collections.abc import Callable
from typing import NamedTuple

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import HealthCheck, Phase

from tests.fuzz.programs import programs

# Programs whose derivative is meant to be another than that of their values.
NOT_THEIR_VALUES = ("stop_gradient", "custom_")
# Where x[i] lies outside, JAX clamps the value and drops its cotangent: no right one.
READ_AT = re.compile(r"(?<!\.at)\[i[01]\]")
OFFSETS = (0.0, 0.0, 10.0, 1e3, 1e6)  # of float64 arguments; float32 goes to 1e3
SCALES = (1.0, 1.0, 1e-3, 1e3, 1e6)


class Case(NamedTuple):
    """A function, and the points to check it at.

    Fields:
      kind: what it is, for the counts and for whoever looks for a failure.
      f: as `jaxbp.check` takes it.
      at: place from 0 -> its arguments there, always the same at a place.
      source: how it was made.
    """

    kind: str
    f: Callable
    at: Callable
    source: str


def random_programs(seed, count):
    """`count` programs of the fuzz that start from `seed`."""
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2 * count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @hypothesis.given(programs())
    def keep(program):
        if not any(name in program.source for name in NOT_THEIR_VALUES):
            found.append(program)

    keep()
    return found[:count]


def moved(program, rng):
    """A program at an offset from its arguments, and in other units.

    Its first point is where the fuzz drew it; the others lie around that by a quarter
    of the size of each element.
    """
    ints, names = tuple(program.ints.values()), list(program.xs)
    if READ_AT.search(program.source):
        ints = tuple(map(np.zeros_like, ints))
    f = program.function(jax)
    shifts = [_offset_and_scale(program.xs[name].dtype, rng) for name in names]
    seed = int(rng.integers(2**31))

    def at(place):
        draw = np.random.default_rng((seed, place))
        xs = [_around(program.xs[name], place, draw) for name in names]
        pairs = zip(xs, shifts, strict=True)
        return tuple(
            jnp.asarray((x * scale + offset).astype(x.dtype))
            for x, (offset, scale) in pairs
        )

    def there(*xs):
        pairs = zip(xs, shifts, strict=True)
        return f(ints, *[(x - offset) / scale for x, (offset, scale) in pairs])

    said = f"{program.source}\nat {program.xs}\noffsets and scales {shifts}"
    dtypes = "/".join(sorted({str(x.dtype) for x in program.xs.values()}))
    farthest = max(abs(offset) for offset, _ in shifts)
    where = f"offset {farthest:.0e}" if farthest else "no offset"
    return Case(f"program {dtypes}, {where}", there, at, said)


def _offset_and_scale(dtype, rng):
    """Of one argument; half of the digits of bfloat16 are all that it has."""
    coarse = np.dtype(dtype).itemsize < 4
    wide = dtype in (np.float64, np.complex128)
    offset = 0.0 if coarse else float(rng.choice(OFFSETS if wide else OFFSETS[:4]))
    scale = 1.0 if coarse or offset else float(rng.choice(SCALES))
    return np.asarray(offset, dtype), np.asarray(scale, dtype)


def _around(x, place, rng):
    draw = rng.normal(size=x.shape)
    return x * (1 + 0.25 * draw).astype(x.dtype) if place else x


# Models ------------------------------------------------------------------------------


# Each gives loss(params, batch), params, and rng -> a batch.


def mlp(rng, dtype):
    """Cross-entropy of a network with random widths and activation."""
    act = [jnp.tanh, jax.nn.relu, jax.nn.gelu, jax.nn.sigmoid][rng.integers(4)]
    widths = [4, *rng.integers(3, 24, rng.integers(1, 4)), 3]
    params = [
        (rng.normal(size=(a, b)) / a**0.5, 0.1 * rng.normal(size=b) * rng.integers(2))
        for a, b in zip(widths, widths[1:], strict=False)
    ]
    labels = rng.integers(0, 3, 32)
    params = jax.tree.map(lambda a: jnp.asarray(a, dtype), params)

    def loss(params, x):
        h = x
        for w, b in params[:-1]:
            h = act(h @ w + b[None])
        logits = jax.nn.log_softmax(h @ params[-1][0] + params[-1][1][None])
        return -jnp.mean(jnp.take_along_axis(logits, labels[:, None], 1))

    return loss, params, lambda rng: jnp.asarray(rng.normal(size=(32, 4)), dtype)


def mixed(rng, dtype):
    """A least-squares loss in float32 that multiplies in bfloat16."""
    y = jnp.asarray(rng.normal(size=(16, 3)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)
    low = lambda a: a.astype(jnp.bfloat16)  # noqa: E731
    fit = lambda w, x: (low(x) @ low(w)).astype(jnp.float32) - y  # noqa: E731
    batch = lambda rng: jnp.asarray(rng.normal(size=(16, 8)), jnp.float32)  # noqa: E731
    return lambda w, x: jnp.mean(fit(w, x) ** 2), w, batch


def rnn(rng, dtype):
    """The mean square of a recurrent network's last state."""
    n, steps = int(rng.integers(2, 9)), 12
    params = {
        "W": jnp.asarray(rng.normal(size=(n, n)) / n**0.5, dtype),
        "U": jnp.asarray(rng.normal(size=(2, n)), dtype),
        "b": jnp.zeros(n, dtype),
    }

    def loss(p, xs):
        step = lambda h, x: (jnp.tanh(h @ p["W"] + x @ p["U"] + p["b"]), None)  # noqa: E731
        return jnp.mean(jax.lax.scan(step, jnp.zeros(n, dtype), xs)[0] ** 2)

    return loss, params, lambda rng: jnp.asarray(rng.normal(size=(steps, 2)), dtype)


def equinox_mlp(rng, dtype):
    import equinox as eqx

    key = jax.random.key(int(rng.integers(1000)))
    model = eqx.nn.MLP(4, 1, int(rng.integers(2, 20)), 2, key=key)
    model = jax.tree.map(lambda a: a.astype(dtype) if eqx.is_array(a) else a, model)
    params, rest = eqx.partition(model, eqx.is_array)
    loss = lambda p, x: jnp.mean(jax.vmap(eqx.combine(p, rest))(x) ** 2)  # noqa: E731
    return loss, params, lambda rng: jnp.asarray(rng.normal(size=(16, 4)), dtype)


def flax_mlp(rng, dtype):
    from flax import linen as nn

    act = [nn.gelu, nn.tanh, nn.silu][rng.integers(3)]
    net = nn.Sequential([nn.Dense(9), nn.LayerNorm(), act, nn.Dense(2)])
    params = net.init(jax.random.key(int(rng.integers(1000))), jnp.ones((16, 4)))
    params = jax.tree.map(lambda a: a.astype(dtype), params)
    loss = lambda p, x: jnp.mean(net.apply(p, x) ** 2)  # noqa: E731
    return loss, params, lambda rng: jnp.asarray(rng.normal(size=(16, 4)), dtype)


MODELS = (mlp, rnn, mixed, mlp, equinox_mlp, flax_mlp)
TRAINED = (0, 30, 300, 3000, 1000)  # steps of training, by place


def model(rng):
    """A model by its parameters and its batch, as it begins and in training.

    It is trained on the batch that it is then looked at with, or on another one.
    """
    make = MODELS[rng.integers(len(MODELS))]
    dtype = [jnp.float64, jnp.float32][rng.integers(2)]
    state, seed = rng.bit_generator.state, int(rng.integers(2**31))
    try:
        loss, params, batch = make(rng, dtype)
    except ImportError:
        make = mlp
        loss, params, batch = mlp(rng, dtype)

    @jax.jit
    def trained(p, x, steps):
        slope = jax.grad(loss)
        down = lambda a, g: a - a.dtype.type(0.3) * g  # noqa: E731
        step = lambda _, p: jax.tree.map(down, p, slope(p, x))  # noqa: E731
        return jax.lax.fori_loop(0, steps, step, p)

    def at(place):
        draw = np.random.default_rng((seed, place))
        x = batch(draw)
        p = trained(params, x, TRAINED[place % len(TRAINED)])
        return p, x if draw.integers(2) else batch(draw)

    kind = f"{make.__name__} {jnp.dtype(dtype).name}"
    return Case(kind, loss, at, f"{kind}, from {state}, batches of {seed}")
