"""A traced value behaves as its array does; traces do not disturb each other."""

import copy
import pickle
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from tests.transforms.standin import refused, same


def seen(ad, look, x):
    """What `look` finds at the tracer of `x` inside a gradient."""
    return ad.grad(lambda x: (jnp.sum(x), look(x)), has_aux=True)(x)[1]


X = jnp.array([0.3, 1.2, -0.7])
NAMES = [n for n in dir(jax.Array) if not n.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_attribute_of_an_array(name):
    """There where jax's own tracer has it, and of the same kind."""

    def look(x):
        try:
            return callable(getattr(x, name))
        except Exception as error:
            return type(error).__mro__[-3].__name__

    assert seen(jaxbp, look, X) == seen(jax, look, X)


OPERATIONS = {
    "neg": lambda x: -x,
    "pos": lambda x: +x,
    "abs": abs,
    "radd": lambda x: 1 + x,
    "rsub": lambda x: np.ones(3) - x,
    "rmul": lambda x: np.float64(2) * x,
    "rtruediv": lambda x: 1.0 / x,
    "rpow": lambda x: 2.0**x,
    "mod": lambda x: x % 0.5,
    "floordiv": lambda x: x // 0.5,
    "divmod": lambda x: divmod(x, 0.5),
    "matmul": lambda x: x @ x,
    "rmatmul": lambda x: np.ones((2, 3)) @ x,
    "round": lambda x: round(x, 1),
    "slices": lambda x: (x[1:], x[::-1], x[..., None], x[-1], x[jnp.array([0, 0])]),
    "mask": lambda x: x[np.array([True, False, True])],
    "iteration": lambda x: [a * 2 for a in x],
    "reversed": lambda x: list(reversed(x)),
    "unpacking": lambda x: (lambda a, b, c: a * b + c)(*x),
    "in": lambda x: bool(0.3 in x),
    "sum": sum,
    "max": max,
    "sorted": lambda x: [v * 2 for v in sorted(x)],
    "zip": lambda x: [a * b for a, b in zip(x, range(3), strict=True)],
    "at": lambda x: (x.at[0].add(1), x.at[1:].max(0.0), x.at[0].get()),
    "methods": lambda x: (
        x.sum(),
        x.mean(),
        x.std(),
        x.argmax(),
        x.cumsum(),
        x.clip(0),
    ),
    "dot": lambda x: x.dot(x),
    "shapes": lambda x: (x.reshape(3, 1).T, x.ravel(), x.squeeze(), x.swapaxes(0, 0)),
    "casts": lambda x: (x.astype("float32"), x.astype(int), x.view("int64")),
    "real": lambda x: (x.real, x.imag, x.conj()),
    "info": lambda x: (x.shape, x.ndim, x.size, x.nbytes, x.itemsize, x.weak_type),
    "bool": lambda x: (bool(x[0] > 0), not x[0], x[0] and 1.0 or 2.0),
    "numbers": lambda x: (int(x[1]), range(3)[int(x[0])], [5, 6][x.argmax()]),
    "any": lambda x: (bool((x > 1).any()), bool((x > 1).all())),
    "equality": lambda x: (x == x, x != 0.3, (x[0] == 0.3).item()),
    "copy": lambda x: (copy.copy(x) * 1, copy.deepcopy(x) * 1),
    "tree": lambda x: jax.tree.map(lambda v: v * 2, {"x": x, "y": (x[0],)}),
    "where": lambda x: jnp.where(x > 0)[0],
    "nonzero": lambda x: jnp.nonzero(x > 0)[0],
    "unique": lambda x: jnp.unique(jnp.round(x)),
    "device": lambda x: isinstance(x, jax.Array) and isinstance(x, jax.core.Tracer),
    "item": lambda x: x[0].item(),
    "stop": lambda x: float(jax.lax.stop_gradient(x)[0]),
}

REFUSED = {
    "float": lambda x: float(x[0]),  # it would lose the derivative unseen
    "complex": lambda x: complex(x[0]),
    "tolist": lambda x: x.tolist(),
    "format": lambda x: f"{x[0]:.3f}",
    "index": lambda x: [5, 6][x[0]],
    "bool_of_many": bool,
    "hash": hash,
    "pickle": pickle.dumps,
    "numpy": np.asarray,
    "numpy_function": np.sin,
    "memoryview": memoryview,
    "set_item": lambda x: x.__setitem__(0, 1.0),
    "block": lambda x: x.block_until_ready(),
    "no_such_attribute": lambda x: x.nothing,
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations(operation):
    same(lambda ad: seen(ad, operation, X))


@pytest.mark.parametrize("operation", REFUSED.values(), ids=REFUSED)
def test_operations_refused(operation):
    refused(lambda ad: seen(ad, operation, X))


def test_nested_tracers_are_concrete_too():
    def f(x):
        return jaxbp.grad(lambda y: y**2 if y > int(x) - 1 and x > 0 else y)(x)

    assert jaxbp.grad(f)(2.0) == 2.0
    assert jax.grad(f)(2.0) == 2.0


def test_threads_do_not_disturb_each_other():
    barrier, found = threading.Barrier(4), {}

    def work(n):
        def f(x):
            barrier.wait(timeout=60)
            y = jnp.sin(x) * n
            barrier.wait(timeout=60)
            return y * x

        found[n] = float(jaxbp.grad(f)(1.5))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one = float(jax.grad(lambda x: jnp.sin(x) * x)(1.5))
    np.testing.assert_allclose(
        [found[n] for n in range(4)], [n * one for n in range(4)]
    )


def test_generator_that_is_left_suspended():
    def values(x):
        yield x * 2
        yield x * 3

    stream = []

    def f(x):
        g = values(x)
        stream.append(g)
        return next(g)

    assert jaxbp.grad(f)(1.0) == 2.0
    with pytest.raises(jax.errors.UnexpectedTracerError):
        next(stream[0])


def test_operations_on_constants_inside_are_not_traced():
    def f(x):
        constant = jnp.arange(3.0).sum()
        assert not isinstance(constant, jax.core.Tracer)
        return x * float(constant)

    assert jaxbp.grad(f)(1.0) == 3.0
