"""Functions whose gradients are right: random programs, models fresh and trained."""

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
OFFSETS = (0.0, 0.0, 10.0, 1e3, 1e6)  # of float64 arguments; float32 goes to 1e3
SCALES = (1.0, 1.0, 1e-3, 1e3, 1e6)


class Case(NamedTuple):
    """A function and a point.

    Fields:
      kind: what it is, for the counts and for whoever looks for a failure.
      f, args: as `jaxbp.check` takes them.
      source: how it was made.
    """

    kind: str
    f: Callable
    args: tuple
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
    """A program at an offset from its arguments, and in other units."""
    ints, names = tuple(program.ints.values()), list(program.xs)
    f = program.function(jax)
    shifts, args = [], []
    for name in names:
        x = program.xs[name]
        coarse = np.dtype(x.dtype).itemsize < 4
        wide = x.dtype in (np.float64, np.complex128)
        offset = 0.0 if coarse else float(rng.choice(OFFSETS if wide else OFFSETS[:4]))
        scale = 1.0 if coarse or offset else float(rng.choice(SCALES))
        shifts.append((np.asarray(offset, x.dtype), np.asarray(scale, x.dtype)))
        args.append(jnp.asarray((x * shifts[-1][1] + shifts[-1][0]).astype(x.dtype)))

    def there(*xs):
        pairs = zip(xs, shifts, strict=True)
        return f(ints, *[(x - offset) / scale for x, (offset, scale) in pairs])

    said = f"{program.source}\nat {program.xs}\noffsets and scales {shifts}"
    dtypes = "/".join(sorted({str(x.dtype) for x in program.xs.values()}))
    return Case(f"program {dtypes}", there, tuple(args), said)


# Models ------------------------------------------------------------------------------


def mlp(rng, dtype):
    """Cross-entropy of a network with random widths and activation."""
    act = [jnp.tanh, jax.nn.relu, jax.nn.gelu, jax.nn.sigmoid][rng.integers(4)]
    widths = [4, *rng.integers(3, 24, rng.integers(1, 4)), 3]
    params = [
        (rng.normal(size=(a, b)) / a**0.5, 0.1 * rng.normal(size=b) * rng.integers(2))
        for a, b in zip(widths, widths[1:], strict=False)
    ]
    x, labels = rng.normal(size=(32, 4)), rng.integers(0, 3, 32)
    x, params = jax.tree.map(lambda a: jnp.asarray(a, dtype), (x, params))

    def loss(params):
        h = x
        for w, b in params[:-1]:
            h = act(h @ w + b[None])
        logits = jax.nn.log_softmax(h @ params[-1][0] + params[-1][1][None])
        return -jnp.mean(jnp.take_along_axis(logits, labels[:, None], 1))

    return loss, params


def mixed(rng, dtype):
    """A least-squares loss in float32 that multiplies in bfloat16."""
    x = jnp.asarray(rng.normal(size=(16, 8)), jnp.bfloat16)
    y = jnp.asarray(rng.normal(size=(16, 3)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(8, 3)), jnp.float32)
    fit = lambda w: (x @ w.astype(jnp.bfloat16)).astype(jnp.float32) - y  # noqa: E731
    return lambda w: jnp.mean(fit(w) ** 2), w


def rnn(rng, dtype):
    """The mean square of a recurrent network's last state."""
    n, steps = int(rng.integers(2, 9)), 12
    params = {
        "W": jnp.asarray(rng.normal(size=(n, n)) / n**0.5, dtype),
        "U": jnp.asarray(rng.normal(size=(2, n)), dtype),
        "b": jnp.zeros(n, dtype),
    }
    xs = jnp.asarray(rng.normal(size=(steps, 2)), dtype)

    def loss(p):
        step = lambda h, x: (jnp.tanh(h @ p["W"] + x @ p["U"] + p["b"]), None)  # noqa: E731
        return jnp.mean(jax.lax.scan(step, jnp.zeros(n, dtype), xs)[0] ** 2)

    return loss, params


def equinox_mlp(rng, dtype):
    import equinox as eqx

    key = jax.random.key(int(rng.integers(1000)))
    model = eqx.nn.MLP(4, 1, int(rng.integers(2, 20)), 2, key=key)
    model = jax.tree.map(lambda a: a.astype(dtype) if eqx.is_array(a) else a, model)
    params, rest = eqx.partition(model, eqx.is_array)
    x = jnp.asarray(rng.normal(size=(16, 4)), dtype)
    loss = lambda p: jnp.mean(jax.vmap(eqx.combine(p, rest))(x) ** 2)  # noqa: E731
    return loss, params


def flax_mlp(rng, dtype):
    from flax import linen as nn

    act = [nn.gelu, nn.tanh, nn.silu][rng.integers(3)]
    net = nn.Sequential([nn.Dense(9), nn.LayerNorm(), act, nn.Dense(2)])
    x = jnp.asarray(rng.normal(size=(16, 4)), dtype)
    params = net.init(jax.random.key(int(rng.integers(1000))), x)
    params = jax.tree.map(lambda a: a.astype(dtype), params)
    return lambda p: jnp.mean(net.apply(p, x) ** 2), params


MODELS = (mlp, rnn, mixed, mlp, equinox_mlp, flax_mlp)


def model(rng):
    """A model, as it begins or as it is after training."""
    make = MODELS[rng.integers(len(MODELS))]
    dtype = [jnp.float64, jnp.float32][rng.integers(2)]
    state = rng.bit_generator.state
    steps = int(rng.choice([0, 30, 300, 3000]))
    try:
        loss, params = make(rng, dtype)
    except ImportError:
        loss, params = mlp(rng, dtype)

    def step(_, p):
        return jax.tree.map(
            lambda a, g: a - a.dtype.type(0.3) * g, p, jax.grad(loss)(p)
        )

    params = jax.lax.fori_loop(0, steps, step, params)
    kind = f"{make.__name__} {jnp.dtype(dtype).name} {'trained' if steps else 'fresh'}"
    return Case(kind, loss, (params,), f"{kind}, {steps} steps, from {state}")
