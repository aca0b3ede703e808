"""grad and value_and_grad stand in for JAX's: argnums, options, names, values."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from tests.transforms.standin import Parameters, Programs, refused, same

program = Programs()


@pytest.mark.parametrize("program", program, ids=lambda p: p.__name__)
def test_stands_in_for_jax(program):
    same(program)


def loss(x, y, z=2.0, *, scale=1.0):
    return jnp.sum(x * y) * z * scale


# argnums ---------------------------------------------------------------------

ARGNUMS = [0, 1, -1, -2, (0,), (1, 0), [0, 1], (0, -1), np.int32(1), np.array([0, 1])]


@pytest.mark.parametrize("argnums", ARGNUMS, ids=repr)
def test_argnums(argnums):
    args = jnp.arange(3.0), jnp.ones(3), 3.0
    same(lambda ad: ad.grad(loss, argnums)(*args, scale=2.0))
    same(lambda ad: ad.value_and_grad(loss, argnums=argnums)(*args))
    same(lambda ad: jax.jit(ad.grad(loss, argnums))(*args))


BAD_ARGNUMS = [3, -4, (0, 5), 1.0, "x", None, (), (0.5,)]


@pytest.mark.parametrize("argnums", BAD_ARGNUMS, ids=repr)
def test_argnums_refused(argnums):
    for name in ("grad", "value_and_grad", "jacfwd", "jacrev"):
        refused(lambda ad, name=name: getattr(ad, name)(loss, argnums)(1.0, 2.0, 3.0))


def test_argument_by_keyword_is_refused():
    refused(lambda ad: ad.grad(loss, 1)(jnp.ones(2), y=jnp.ones(2)))


@program
def keyword_arguments_are_not_differentiated(ad):
    return ad.grad(lambda x, **more: x * more["a"])(2.0, a=3.0, b="text", c=None)


@program
def other_arguments_stay_as_they_are(ad):
    def f(x, n, text, array, obj):
        assert type(n) is int and type(array) is np.ndarray and text == "sum"
        return getattr(jnp, text)(x**n) * array.sum() + obj().real

    return ad.grad(f)(jnp.ones(3), 3, "sum", np.ones(2), complex)


# Pytrees and options ---------------------------------------------------------


@program
def pytrees(ad):
    params = {"w": [jnp.ones((2, 2)), None], "b": (jnp.zeros(2), ())}
    return ad.value_and_grad(
        lambda p, x: jnp.sum(jnp.tanh(p["w"][0] @ x + p["b"][0])), (0, 1)
    )(params, jnp.ones(2))


@program
def registered_dataclass(ad):
    p = Parameters(jnp.arange(4.0).reshape(2, 2), jnp.ones(2), "layer")
    return ad.grad(lambda p: jnp.sum(jnp.sin(p.w @ p.b)))(p)


@program
def empty_tree(ad):
    return ad.value_and_grad(lambda p, x: jnp.sum(x))({}, jnp.ones(2))


@program
def unused_argument(ad):
    return ad.grad(lambda x, y: y * 2, (0, 1))(jnp.ones(2), 1.0)


@program
def aux(ad):
    def f(x):
        return x**2, {"y": x * 2, "none": None, "name": "f", "f": jnp.sin}

    g = ad.grad(f, has_aux=True)(2.0)
    return g, ad.value_and_grad(f, has_aux=True)(2.0), ad.grad(f, 0, True)(1.0)


@program
def aux_of_an_inner_gradient_is_differentiated(ad):
    def f(x):
        g, y = ad.grad(lambda x: (x**3, x**2), has_aux=True)(x)
        return g * y

    return ad.value_and_grad(f)(2.0)


@program
def integers_allowed(ad):
    def f(p):
        return jnp.sum(p["x"] * p["n"].astype(float)) * jnp.where(p["b"], 1.0, 2.0)

    p = {"x": jnp.ones(2), "n": jnp.arange(2), "b": True}
    return ad.grad(f, allow_int=True)(p)


@program
def keys_allowed(ad):
    return ad.grad(
        lambda k, x: x * jax.random.normal(k), argnums=(0, 1), allow_int=True
    )(jax.random.key(0), 2.0)


@program
def holomorphic(ad):
    z = jnp.complex128(1.0 + 2.0j)
    return (
        ad.grad(lambda z: jnp.sin(z) * z, holomorphic=True)(z),
        ad.grad(lambda z: jnp.abs(z) ** 2)(z),
        ad.grad(lambda z: z.real * z.imag)(jnp.complex64(z)),
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_narrow_dtypes(dtype):
    x = jnp.linspace(0.1, 1, 4, dtype=dtype)
    same(lambda ad: ad.grad(lambda x: jnp.real(jnp.sum(jnp.tanh(x) * x)))(x))
    same(lambda ad: ad.value_and_grad(lambda x: jnp.real(x.mean()))(x))


# Names and signatures --------------------------------------------------------


class Model:
    """A model that is called."""

    def __call__(self, x):
        return x**2

    def loss(self, x):
        """The loss."""
        return x**2


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "jacfwd", "jacrev"])
@pytest.mark.parametrize(
    "fun",
    [loss, Model(), Model().loss, functools.partial(loss, 1.0), jax.jit(loss), jnp.sin],
    ids=["function", "object", "method", "partial", "jitted", "ufunc"],
)
def test_names(fun, name):
    expected, came = getattr(jax, name)(fun), getattr(jaxbp, name)(fun)
    unnamed = expected.__name__ == "<unnamed function>"  # has its class's name here
    told = "Model" if unnamed else expected.__name__
    assert came.__name__ == told
    assert came.__module__ == expected.__module__
    assert came.__wrapped__ is fun
    assert inspect.signature(came) == inspect.signature(expected)
    assert told in came.__doc__


@pytest.mark.parametrize(
    "name",
    "jvp vjp linearize grad value_and_grad jacfwd jacrev jacobian hessian".split(),
)
def test_signatures(name):
    """Every parameter JAX has, in JAX's order, of JAX's kind and default."""
    ours = inspect.signature(getattr(jaxbp, name)).parameters
    theirs = inspect.signature(getattr(jax, name)).parameters
    shared = [p for p in ours.values() if p.name in theirs]
    described = [(p.name, p.kind, p.default) for p in theirs.values()]
    assert [(p.name, p.kind, p.default) for p in shared] == described


# Concrete values -------------------------------------------------------------


@program
def python_control_flow(ad):
    def f(x):
        total = 0.0
        while x > 1:
            x = x / 2
            total = total + x if x < 4 else total * x
        for i in range(int(x * 10)):
            total += x**i
        return total if bool(x > 0.5) and not x == 3 else -total

    return ad.value_and_grad(f)(11.0)


@program
def conversions(ad):
    def f(x):
        y = x[0]
        found = int(y), bool(y), str(round(y)) != "", len(x), x.shape, x.ndim, x.size
        return jnp.sum(x * int(y)), (found, str(x.dtype), hasattr(x, "at"))

    return ad.grad(f, has_aux=True)(jnp.array([2.5, 1.0]))


@program
def numbers_as_indices(ad):
    def f(x, n):
        return x[int(n)] * [1.0, 2.0, 3.0][n.astype(int)] * x.sum()

    return ad.grad(f)(jnp.arange(3.0), jnp.float32(2))


@pytest.mark.parametrize(
    "convert",
    [
        *(np.asarray, np.array, hash, lambda x: {x: 1}),
        *(lambda x: iter(x[0]), lambda x: len(x[0]), lambda x: x.tolist()),
    ],
    ids=["asarray", "array", "hash", "key", "iter", "len", "tolist"],
)
def test_conversions_refused(convert):
    def f(x):
        convert(x)
        return x.sum()

    refused(lambda ad: ad.grad(f)(jnp.ones(2)))


@pytest.mark.parametrize(
    "convert",
    [float, int, bool, complex, lambda x: x.item(), range, np.sin, lambda x: "ab"[x]],
    ids=["float", "int", "bool", "complex", "item", "range", "numpy", "index"],
)
def test_conversions_refused_under_jit(convert):
    def f(x):
        convert(x)
        return x * 2

    refused(lambda ad: jax.jit(ad.grad(f))(2.0))
    refused(lambda ad: ad.grad(jax.jit(f))(2.0))


@program
def array_methods(ad):
    def f(x):
        y = x.at[0].set(3.0).at[1].multiply(2.0).reshape(2, 2).T
        a, b = y
        total = sum(row.sum() for row in y) + a.max() - b.min() + y.mean() + y.std()
        z = y.astype(jnp.float32).astype(jnp.float64) @ y.ravel()[:2] + y.flatten()[::2]
        return total + (z * abs(-y[0])).prod() + (2 / y)[1, 0] + y.real.dot(a).sum()

    return ad.value_and_grad(f)(jnp.arange(1.0, 5.0))


@program
def comparisons(ad):
    def f(x):
        mask = (x > 1) & ~(x >= 3) | (x == 0)
        return jnp.sum(jnp.where(mask, x, x**2)) * int(jnp.sum(x != 2))

    return ad.grad(f)(jnp.arange(4.0))


def test_repr_shows_the_value():
    seen = []

    def f(x):
        seen.extend([repr(x), str(x), f"{x}"])
        return x.sum()

    jaxbp.grad(f)(jnp.arange(2.0))
    assert all("[0. 1.]" in text for text in seen)


@program
def isinstance_array(ad):
    def f(x):
        kinds = isinstance(x, jax.Array), isinstance(x, jax.core.Tracer), x.weak_type
        return x * 2, (kinds, jnp.shape(x), str(jnp.result_type(x)))

    return ad.grad(f, has_aux=True)(2.0)


@program
def nan_and_inf(ad):
    return [
        ad.grad(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0))(0.0),
        ad.grad(lambda x: 1 / x)(0.0),
        ad.grad(jnp.abs)(0.0),
        ad.grad(lambda x: jnp.log(x * 0))(1.0),
    ]
