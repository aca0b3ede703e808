"""jacfwd, jacrev, jacobian, hessian stand in for JAX's; hvp is hessian times v."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.errors import InvalidArgument
from tests.transforms.standin import Parameters, refused, same, same_values

BOTH = pytest.mark.parametrize("name", ["jacfwd", "jacrev"])


def f(x, y):
    return {"p": jnp.outer(jnp.sin(x), y), "s": (x.sum() * y[0], None)}


X, Y = jnp.arange(3.0), jnp.array([0.5, -1.0])


@BOTH
@pytest.mark.parametrize("argnums", [0, 1, -1, (0,), (1, 0), [0, 1]], ids=repr)
def test_argnums_and_trees(name, argnums):
    same(lambda ad: getattr(ad, name)(f, argnums)(X, Y))
    same(lambda ad: jax.jit(getattr(ad, name)(f, argnums))(X, Y[::-1]))


@BOTH
def test_pytree_of_arguments(name):
    p = Parameters(jnp.arange(4.0).reshape(2, 2), jnp.ones(2), "layer")
    same(lambda ad: getattr(ad, name)(lambda p: [p.w @ p.b, p.b[0]])(p))
    tree = {"a": X, "b": (None, Y)}
    same(lambda ad: getattr(ad, name)(lambda t: f(t["a"], t["b"][1]))(tree))


@BOTH
def test_aux(name):
    def g(x):
        return x**2, {"y": x, "n": 1, "none": None}

    same(lambda ad: getattr(ad, name)(g, has_aux=True)(X))


@BOTH
def test_scalars(name):
    same(lambda ad: getattr(ad, name)(lambda x: x**3)(2.0))
    same(lambda ad: getattr(ad, name)(lambda x, y: (x * y, jnp.ones(2) * x))(2.0, 3))
    same(lambda ad: getattr(ad, name)(lambda x, y: x * y, (0, 1))(np.float32(2), 3.0))


@BOTH
def test_leaves_of_several_dtypes(name):
    def g(p):
        return p["a"].astype(jnp.float32) * p["b"].sum(), p["a"] ** 2

    p = {"a": jnp.ones(2), "b": jnp.arange(3.0, dtype=jnp.float32)}
    with jax.numpy_dtype_promotion("standard"):
        same(lambda ad: getattr(ad, name)(g)(p))


@BOTH
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_dtypes(name, dtype):
    x = jnp.linspace(0, 1, 3, dtype=dtype)
    same(lambda ad: getattr(ad, name)(lambda x: jnp.tanh(x) * x.sum())(x))


@BOTH
def test_empty_arrays(name):
    x = jnp.zeros((0, 2))
    same(lambda ad: getattr(ad, name)(lambda x: (x * 2, x.sum()))(x))
    same(lambda ad: getattr(ad, name)(lambda x: x[:0])(X))


@BOTH
def test_holomorphic(name):
    z = jnp.array([1 + 2j, 0.5j])
    same(lambda ad: getattr(ad, name)(lambda z: z**2 * z[0], holomorphic=True)(z))


def test_complex_inputs_real_outputs():
    z = jnp.array([1 + 2j, 0.5j])
    same(lambda ad: ad.jacrev(lambda z: jnp.abs(z) ** 2)(z))
    same(lambda ad: ad.jacfwd(lambda x: x.astype(complex) * 1j)(X))


def test_integer_arguments_of_jacrev():
    def g(x, n):
        return x[0] * n.astype(float)

    same(lambda ad: ad.jacrev(g, (0, 1), allow_int=True)(X, jnp.arange(2)))


def test_constant_output():
    same(lambda ad: ad.jacfwd(lambda x: jnp.ones(2))(X))
    same(lambda ad: ad.jacrev(lambda x: jnp.ones(2))(X))


def test_integer_output_of_jacfwd():
    same(lambda ad: ad.jacfwd(lambda x: (x * 2, jnp.arange(2)))(X))


@BOTH
def test_wrong_inputs(name):
    for fun, args, options in [
        (jnp.sin, (1,), {}),
        (jnp.sin, (jnp.arange(2),), {}),
        (jnp.sin, (1j,), {}),
        (jnp.sin, (1.0,), {"holomorphic": True}),
        (jnp.real, (1j,), {"holomorphic": True}),
        (lambda x: x, ("a",), {}),
        (lambda x: "a", (1.0,), {}),
        (lambda x: x, (jax.random.key(0),), {}),
        (lambda x: x, (1.0,), {"has_aux": True}),
        (3, (1.0,), {}),
    ]:
        refused(lambda ad, a=args, f=fun, o=options: getattr(ad, name)(f, **o)(*a))


def test_complex_output_of_jacrev():
    refused(lambda ad: ad.jacrev(lambda x: x * 1j)(1.0))


def test_alias():
    same(lambda ad: ad.jacobian(f, 1)(X, Y))
    same(lambda ad: ad.jacobian(lambda x: (x**2, {"a": x}), has_aux=True)(X))


def loss(x, y):
    return jnp.sum(jnp.sin(x) * x) * jnp.prod(y) + x[0] ** 3


@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1,)], ids=repr)
def test_hessian(argnums):
    same(lambda ad: ad.hessian(loss, argnums)(X, Y))


def test_hessian_of_trees_and_aux():
    tree = {"a": X, "b": (None, Y)}
    same(lambda ad: ad.hessian(lambda t: loss(t["a"], t["b"][1]))(tree))
    same(lambda ad: ad.hessian(lambda t: f(t["a"], t["b"][1]))(tree))
    same(lambda ad: ad.hessian(lambda x: (loss(x, Y), x * 2), has_aux=True)(X))
    same(
        lambda ad: ad.hessian(lambda z: jnp.sum(z**3), holomorphic=True)(
            X.astype(complex) + 1j
        )
    )
    same(lambda ad: jax.jit(jax.vmap(ad.hessian(jnp.sin)))(X))


def test_hvp():
    v, w = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.3, 2.0])
    expected = jax.hessian(loss)(X, Y) @ v
    same_values(jaxbp.hvp(lambda x: loss(x, Y), (X,), (v,)), expected)
    whole = jax.jvp(jax.grad(loss, (0, 1)), (X, Y), (v, w))[1]
    same_values(jaxbp.hvp(loss, (X, Y), (v, w)), whole)
    with_aux = jaxbp.hvp(lambda x: (loss(x, Y), x), (X,), (v,), has_aux=True)
    same_values(with_aux, (expected, X))


def test_hvp_needs_a_scalar():
    with pytest.raises(jaxbp.errors.ShapeMismatch, match=r"`sin` has shape \(3,\)"):
        jaxbp.hvp(jnp.sin, (X,), (X,))


def test_hvp_of_bare_arrays_says_how_to_write_it():
    x = jnp.ones(2)
    with pytest.raises(InvalidArgument, match=r"must be a tuple.*\(x,\), \(v,\)"):
        jaxbp.hvp(lambda x: jnp.sum(x**3), x, x)
