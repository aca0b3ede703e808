"""Wrong input raises what handlers written for JAX catch, and says more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.dtypes import float0
from jax.extend import source_info_util

import jaxbp
from jaxbp.errors import (
    DtypeMismatch,
    InvalidArgument,
    NotOffered,
    ShapeMismatch,
    StructureMismatch,
)
from tests.transforms.standin import caught_as, outcome

X = jnp.arange(3.0)
ZERO = np.zeros((), float0)


def pull(ad, fun, cotangent, *primals, others=()):
    return ad.vjp(fun, *primals)[1](cotangent, *others)


def push(ad, fun, tangents, *primals):
    return ad.linearize(fun, *primals)[1](*tangents)


def named_loss(x):
    return x * 2


CASES = [
    # gradients: input
    (lambda ad: ad.grad(jnp.sin)(1), DtypeMismatch, r"grad requires.*int64.*astype"),
    (
        lambda ad: ad.grad(lambda p: p["w"][0])({"w": [X[0], jnp.arange(3)]}),
        DtypeMismatch,
        r"`args\[0\]\['w'\]\[1\]` has dtype int64",
    ),
    (lambda ad: ad.grad(jnp.sin)(True), DtypeMismatch, "has dtype bool"),
    (lambda ad: ad.grad(lambda k: 1.0)(jax.random.key(0)), DtypeMismatch, "key<fry>"),
    (lambda ad: ad.grad(lambda x: x)("a"), DtypeMismatch, "must be an array.*'a'"),
    (lambda ad: ad.grad(lambda x: x)(None), StructureMismatch, "returned a tree"),
    (lambda ad: ad.grad(jnp.sin, holomorphic=True)(1.0), DtypeMismatch, "complex"),
    (lambda ad: ad.grad(jnp.sin)(1j), DtypeMismatch, "real-valued outputs.*complex128"),
    (
        lambda ad: ad.grad("f"),
        InvalidArgument,
        "`fun` must be callable, but is str 'f'",
    ),
    (lambda ad: ad.grad(jnp.sin)(), InvalidArgument, "`sin` was called with 0 of them"),
    (
        lambda ad: ad.grad(jnp.sin, 1)(1.0),
        InvalidArgument,
        "is 1, and `sin` was called",
    ),
    (
        lambda ad: ad.grad(jnp.sin, -2)(1.0),
        InvalidArgument,
        "is -2, and `sin` was called",
    ),
    (lambda ad: ad.grad(jnp.add, (0, -2))(1.0, 2.0), InvalidArgument, "once, but is"),
    (lambda ad: ad.grad(jnp.sin, "a"), InvalidArgument, "`argnums` must be an integer"),
    (lambda ad: ad.grad(jnp.sin, reduce_axes=("i",)), NotOffered, "psum"),
    # gradients: output
    (lambda ad: ad.grad(named_loss)(X), ShapeMismatch, r"`named_loss` has.*3"),
    (lambda ad: ad.grad(lambda x: (x, x))(1.0), StructureMismatch, "Return one scalar"),
    (lambda ad: ad.grad(lambda x: None)(1.0), StructureMismatch, "returned a tree"),
    (lambda ad: ad.grad(lambda x: [x])(1.0), StructureMismatch, "has_aux=True"),
    (lambda ad: ad.grad(lambda x: "a")(1.0), DtypeMismatch, "`output`.*is str 'a'"),
    (lambda ad: ad.grad(lambda x: 3)(1.0), DtypeMismatch, "`output` has dtype int64"),
    (lambda ad: ad.grad(jnp.sin, has_aux=True)(1.0), InvalidArgument, r"a pair"),
    (
        lambda ad: ad.grad(lambda x: (x, x, x), has_aux=True)(1.0),
        InvalidArgument,
        r"returned tuple",
    ),
    # forward mode
    (lambda ad: ad.jvp(jnp.sin, 1.0, 1.0), StructureMismatch, r"Write `\(primal,\)`"),
    (lambda ad: ad.jvp(jnp.sin, (1.0,), [1.0]), StructureMismatch, "both as tuples"),
    (lambda ad: ad.jvp(jnp.sin, (1.0,), ()), StructureMismatch, "must have the tree"),
    (
        lambda ad: ad.jvp(lambda p: p["a"], ({"a": X},), ({"b": X},)),
        StructureMismatch,
        "`tangents` must have the tree structure of `primals`",
    ),
    (lambda ad: ad.jvp(jnp.sin, (X,), (X[:2],)), ShapeMismatch, r"\(3,\).*\(2,\)"),
    (lambda ad: ad.jvp(jnp.sin, (X,), (1.0,)), ShapeMismatch, r"has shape \(\)"),
    (
        lambda ad: ad.jvp(jnp.sin, (X,), (X.astype("float32"),)),
        DtypeMismatch,
        r"`tangents\[0\]` must have dtype float64.*float32.*\.astype\('float64'\)",
    ),
    (lambda ad: ad.jvp(lambda n: n, (1,), (1,)), DtypeMismatch, "float0: np.zeros"),
    (lambda ad: ad.jvp(jnp.sin, (1.0,), (ZERO,)), DtypeMismatch, "dtype float64"),
    (lambda ad: ad.jvp(lambda x: "a", (1.0,), (1.0,)), DtypeMismatch, "is str 'a'"),
    (lambda ad: ad.jvp(3, (1.0,), (1.0,)), InvalidArgument, "callable"),
    # linear functions
    (lambda ad: pull(ad, jnp.sin, X[:2], X), ShapeMismatch, r"`cotangent` must have"),
    (lambda ad: pull(ad, jnp.sin, 1.0, X), ShapeMismatch, r"has shape \(\)"),
    (
        lambda ad: pull(ad, jnp.sin, X.astype("float32"), X),
        DtypeMismatch,
        "float64, that of `output`, but has dtype float32",
    ),
    (lambda ad: pull(ad, jnp.sin, (X,), X), StructureMismatch, "structure of `output`"),
    (
        lambda ad: pull(ad, lambda x: (x, {"a": x}), (X, {"b": X}), X),
        StructureMismatch,
        "must have the tree structure",
    ),
    (
        lambda ad: pull(ad, lambda x: (x, x), X, X, others=(X,)),
        InvalidArgument,
        "takes one cotangent.*called with 2 arguments.*pass a tuple",
    ),
    (lambda ad: pull(ad, lambda x: 2, np.zeros(2, float0), 1.0), ShapeMismatch, ""),
    (lambda ad: push(ad, jnp.sin, (X[:2],), X), ShapeMismatch, r"\(3,\)"),
    (lambda ad: push(ad, jnp.sin, (X, X), X), StructureMismatch, "structure"),
    (lambda ad: push(ad, jnp.sin, (X.astype("float32"),), X), DtypeMismatch, "float32"),
    (lambda ad: ad.vjp(jnp.sin, "a"), DtypeMismatch, "must be an array"),
    (lambda ad: ad.vjp(jnp.sin, X, reduce_axes=("i",)), NotOffered, "reduce_axes"),
]


@pytest.mark.parametrize(
    ("program", "error", "match"), CASES, ids=[c[2][:30] for c in CASES]
)
def test_wrong_input(program, error, match):
    expected = outcome(program, jax)
    assert isinstance(expected, Exception), expected
    with pytest.raises(caught_as(expected)) as caught:
        program(jaxbp)
    assert isinstance(caught.value, error)
    assert caught.match("(?s)" + match)


def test_loss_of_shape_one_is_no_scalar():
    with pytest.raises(TypeError, match=r"has shape \(1,\)"):
        jaxbp.grad(lambda x: x[:1])(X)


def test_flags_of_tangents():
    with pytest.raises(StructureMismatch, match="`in_nzs` must be a tree of bools"):
        jaxbp.vjp(lambda x, y: x, 1.0, 2.0, in_nzs=(True, False, True))
    with pytest.raises(StructureMismatch, match="has 'yes'"):
        jaxbp.linearize(jnp.sin, 1.0, in_nzs=("yes",))
    with pytest.raises(NotOffered, match="`saveable_args` must be True"):
        jaxbp.vjp(jnp.sin, 1.0, saveable_args=(False,))


# Tracers that outlive their function -----------------------------------------


@pytest.mark.parametrize("ad", [jax, jaxbp], ids=["jax", "jaxbp"])
@pytest.mark.parametrize("door", ["grad", "vjp", "jvp", "linearize"])
@pytest.mark.parametrize("use", [lambda x: x + 1, jnp.sin, lambda x: x[None]])
def test_leaked_tracer(ad, door, use):
    leaked = []

    def f(x):
        leaked.append(x * 2)
        return x

    if door == "jvp":
        ad.jvp(f, (1.0,), (1.0,))
    elif door == "grad":
        ad.grad(f)(1.0)
    else:
        getattr(ad, door)(f, 1.0)
    with pytest.raises(jax.errors.UnexpectedTracerError):
        use(leaked[0])


def test_tracer_leaked_into_another_gradient():
    leaked = []
    jaxbp.grad(lambda x: leaked.append(x) or x)(1.0)
    with pytest.raises(jax.errors.UnexpectedTracerError):
        jaxbp.grad(lambda x: x * leaked[0])(1.0)
    with pytest.raises(jax.errors.UnexpectedTracerError):
        jax.jit(jaxbp.grad(lambda x: x * leaked[0]))(1.0)


def test_tracer_leaked_out_of_jit():
    leaked = []
    jax.jit(jaxbp.grad(lambda x: leaked.append(x) or x))(1.0)
    with pytest.raises(jax.errors.UnexpectedTracerError):
        leaked[0] + 1


def branches_on(c, x):
    return x if c > 0 else -x


# Differentiated under jit, of the function's own argument and a closed-over tracer.
NOT_CONCRETE = {"bool": branches_on, "float": lambda c, x: x * float(c)}


@pytest.mark.parametrize("ad", [jax, jaxbp], ids=["jax", "jaxbp"])
@pytest.mark.parametrize("use", NOT_CONCRETE.values(), ids=NOT_CONCRETE)
def test_closed_over_tracer_of_jit_is_not_concrete(ad, use):
    function = jax.jit(lambda c: ad.grad(lambda x: use(c, x))(1.0))
    with pytest.raises(jax.errors.ConcretizationTypeError, match="argument c"):
        function(2.0)


@pytest.mark.parametrize("ad", [jax, jaxbp], ids=["jax", "jaxbp"])
@pytest.mark.parametrize("outside", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_closed_over_tracer_of_a_jit_that_has_ended(ad, outside):
    leaked = []
    jax.jit(lambda c: leaked.append(c) or c)(2.0)
    for differentiated in (
        ad.grad(lambda x: x * leaked[0]),
        lambda x: ad.jvp(lambda x: x * leaked[0], (x,), (x,)),
    ):
        with pytest.raises(jax.errors.UnexpectedTracerError, match="side effect"):
            outside(differentiated)(1.0)


@pytest.mark.parametrize("ad", [jax, jaxbp], ids=["jax", "jaxbp"])
def test_pullback_leaked_out_of_jit(ad):
    leaked = []
    jax.jit(lambda c: leaked.append(ad.vjp(lambda x: x * c * x, c)[1]) or c)(2.0)
    with pytest.raises(jax.errors.UnexpectedTracerError):
        leaked[0](1.0)


def test_exception_of_the_function_passes_and_leaves_no_trace():
    def f(x):
        raise KeyError("mine")

    for call in (lambda: jaxbp.grad(f)(1.0), lambda: jaxbp.jvp(f, (1.0,), (1.0,))):
        with pytest.raises(KeyError, match="mine"):
            call()
    assert jaxbp.grad(lambda x: x**2)(3.0) == 6.0


def test_function_is_called_once():
    calls = []

    def f(x):
        calls.append(x)
        return x**2

    jaxbp.value_and_grad(f)(1.0)
    assert len(calls) == 1


def test_equations_name_the_user_s_line():
    """Of a derivative as of the function: the engine's own frames are not shown."""
    traced = jax.make_jaxpr(jaxbp.hessian(lambda x: jnp.sin(x) * x))(2.0)
    lines = [source_info_util.summarize(eqn.source_info) for eqn in traced.jaxpr.eqns]
    named = [line for line in lines if line]  # JAX cuts some stacks short
    assert named and all(line.startswith(__file__) for line in named), named


def test_numpy_inside_is_told_with_its_line():
    def f(x):
        return np.sum(np.asarray(x))

    with pytest.raises(TypeError) as caught:
        jaxbp.grad(f)(jnp.ones(2))
    (note,) = caught.value.__notes__
    assert "`f` turns" in note and "test_errors.py:" in note and "write jnp" in note
