"""`jaxbp.jacobian` and `hessian`: JAX's results, whichever way is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.across import order
from jaxbp.errors import DtypeMismatch

N = 12
X = np.linspace(0.1, 1.0, N)
W = np.random.default_rng(0).normal(size=(N, N))
EYE = np.eye(4, dtype=bool)
PAIRS = np.triu_indices(4, 1)
PLACES = np.array([0, 1, 1, 4, 3, 2] * 2)


def energy(x):
    r = x.reshape(4, 3)
    squares = ((r[:, None] - r[None]) ** 2).sum(-1)
    inverse = 1 / jnp.where(EYE, 1.0, squares) ** 3
    return jnp.sum(jnp.where(EYE, 0.0, inverse * inverse - inverse))


def energy_by_pairs(x):
    r = x.reshape(4, 3)
    inverse = 1 / ((r[PAIRS[0]] - r[PAIRS[1]]) ** 2).sum(-1) ** 3
    return jnp.sum(inverse * inverse - inverse)


def attention(x):
    r = x.reshape(3, 4)
    return jax.nn.softmax(r @ r.T) @ r


def loop(x):
    return jax.lax.scan(lambda c, _: (jnp.tanh(W @ c), c.sum()), x, None, length=3)


FUNCTIONS = {
    "tanh(Wx)": lambda x: jnp.tanh(W @ x),
    "residual": lambda x: x + W[:, :2] @ jnp.tanh(W[:2] @ x),
    "gated": lambda x: x * jax.nn.sigmoid(W[:, :2] @ jnp.tanh(W[:2] @ x)),
    "Lotka-Volterra": lambda x: x * (1 + W @ x),
    "Kuramoto": lambda x: jnp.sin(x[None] - x[:, None]).sum(1),
    "stencil": lambda x: x[:-2] - 2 * x[1:-1] ** 2 + x[2:],
    "rolled": lambda x: jnp.roll(x, 1) * x - x[::-1],
    "Lennard-Jones": jax.grad(energy),
    "Lennard-Jones by pairs": jaxbp.grad(energy_by_pairs),
    "layer norm": lambda x: (x - x.mean()) / jnp.sqrt(x.var() + 1e-5),
    "per example": lambda x: jnp.tanh(x.reshape(3, 4) @ W[:4, :4]),
    "attention": attention,
    "scan": loop,
    "several": lambda x: {"a": x[::2] * 2, "b": (x.sum(), x[3])},
    "scalars": lambda x: jnp.stack([x[0] * x[1], x[1] * jnp.sin(x[2]), x[3]]),
    "scattered": lambda x: jnp.zeros(5).at[PLACES].add(x**2),
    "other digits": lambda x: (x.reshape(3, 4) ** 2).reshape(4, 3) @ W[:3, :3],
    "operator inside": lambda x: jnp.cumsum(W @ jnp.tanh(x)) * x,
    "masked": lambda x: jnp.where(x > 0.5, jnp.log(x - 0.4999), 0.0),
    "constant": lambda x: jnp.ones(3),
    "nothing": lambda x: x,
    "tiled": lambda x: jnp.tile(x, 2) * jnp.pad(x, (N, 0)),
    "sorted": lambda x: jnp.sort(-x) * x.max(),
    "empty": lambda x: x[:0] * 2,
}


@pytest.fixture(params=["planned", "across"])
def way(request, monkeypatch):
    """As planned, and with an order of elimination however slow it seems."""
    if request.param == "across":
        monkeypatch.setattr(order, "CLEARLY", np.inf)
        monkeypatch.setattr(order, "SEEN", -np.inf)


def agree(came, wanted):
    assert jax.tree.structure(came) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name, way):
    f = FUNCTIONS[name]
    wanted = jax.jit(jax.jacrev(f))(X)
    agree(jax.jit(jaxbp.jacobian(f))(X), wanted)


def test_live_batched_and_nested(way):
    f = FUNCTIONS["gated"]
    x = jnp.asarray(X[:N])
    agree(jaxbp.jacobian(f)(x), jax.jacrev(f)(x))
    stacked = jnp.stack([x, 2 * x])
    agree(jax.vmap(jaxbp.jacobian(f))(stacked), jax.vmap(jax.jacrev(f))(stacked))
    size = lambda ad: lambda x: jnp.sum(ad.jacobian(f)(x) ** 2)  # noqa: E731
    wanted = jax.grad(lambda x: jnp.sum(jax.jacrev(f)(x) ** 2))(x)
    agree(jax.grad(size(jaxbp))(x), wanted)
    agree(jaxbp.grad(size(jaxbp))(x), wanted)
    twice = jax.jit(jaxbp.jacobian(jaxbp.jacobian(f)))(x)
    agree(twice, jax.jit(jax.jacfwd(jax.jacrev(f)))(x))


def test_several_arguments_aux_and_float32(way):
    def f(p, x, n):
        y = jnp.tanh(p["w"] @ x) * p["b"]
        return (y, y.sum()), n

    p = {"w": jnp.asarray(W[:3], jnp.float32), "b": jnp.ones(3, jnp.float32)}
    x = jnp.asarray(X, jnp.float32)
    came, aux = jaxbp.jacobian(f, (0, 1), has_aux=True)(p, x, 3)
    wanted, _ = jax.jacrev(f, (0, 1), has_aux=True)(p, x, 3)
    assert aux == 3
    assert jax.tree.structure(came) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
        assert one.dtype == other.dtype


@pytest.mark.parametrize(
    ("f", "x", "more"),
    [
        (lambda z: jnp.exp(z) * z.sum(), X[:3] + 1j, {"holomorphic": True}),
        (lambda x: jnp.fft.rfft(x).real, X, {}),
        (lambda x: x.astype(jnp.float32).sum(), X, {}),
        (lambda n: n.astype(float) * 2, np.arange(3), {"allow_int": True}),
        (lambda z: jnp.abs(z) ** 2, X[:2] + 1j, {}),
    ],
    ids=["holomorphic", "fft", "two types", "integers", "complex to real"],
)
def test_what_keeps_to_the_modes(f, x, more, way):
    agree(jaxbp.jacobian(f, **more)(x), jax.jacrev(f, **more)(x))


def test_a_while_loop_goes_forward(way):
    def f(x):
        step = lambda s: (s[0] + 1, jnp.sin(s[1]))  # noqa: E731
        return jax.lax.while_loop(lambda s: s[0] < 3, step, (0, W @ x))[1]

    agree(jaxbp.jacobian(f)(X), jax.jacfwd(f)(X))


def test_a_mask_keeps_infinities_out(way):
    f = lambda x: W @ jnp.where(x > 0, jnp.sqrt(jnp.abs(x)), 0.0)  # noqa: E731
    x = jnp.asarray(X).at[3].set(0.0)
    came = jaxbp.jacobian(f)(x)
    assert np.isfinite(came[:, 4:]).all()
    agree(jaxbp.jacobian(f)(jnp.asarray(X)), jax.jacfwd(f)(jnp.asarray(X)))


def test_the_plan_of_a_bottleneck():
    weights = [np.zeros(s, np.float32) for s in [(256, 512), (8, 256), (512, 8)]]

    def f(x, a, b, c):
        return c @ jnp.tanh(b @ jnp.tanh(a @ x))

    plan = jaxbp.jacobian(f).plan(np.zeros(512, np.float32), *weights)
    assert plan.chosen.name not in order.MODES
    flops = {way.name: way.flops for way in plan.ways}
    assert flops[plan.chosen.name] < flops["reverse"] / 2
    # The narrow vertex goes last: 8 rows through the encoder, one outer product.
    assert plan.chosen.flops < 3 * 2 * 8 * (256 * 512 + 512 * 512)


@pytest.mark.parametrize(
    "f",
    [energy, energy_by_pairs, lambda x: jnp.sum(attention(x)), jnp.prod],
    ids=["all pairs", "half the pairs", "attention", "product"],
)
def test_hessian_laplacian_and_diagonal(f, way):
    wanted = jax.jit(jax.hessian(f))(X)
    scale = np.abs(wanted).max()
    same = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10 * scale)  # noqa: E731
    same(jax.jit(jaxbp.hessian(f))(X), wanted)
    same(jax.jit(jaxbp.laplacian(f))(X), np.trace(wanted))
    same(jax.jit(jaxbp.hessian_diagonal(f))(X), np.diagonal(wanted))


def test_a_plan_is_a_report_from_types():
    def f(x, times):
        for _ in range(times):
            x = jnp.cumprod(jnp.linalg.cholesky(jnp.diag(x) + 2)[-1])
        return x

    plan = jaxbp.jacobian(f).plan(jax.ShapeDtypeStruct((4,), np.float32), 2)
    assert plan.inputs == plan.outputs == 4 and plan.name == "f"
    assert [row["name"] for row in plan.as_dicts()][:2] == ["forward", "reverse"]
    text = str(plan)
    assert f"{plan.chosen.name} (taken)" in text and "`cholesky`" in text
    assert "<table" in plan.page().html()
    assert plan.reason in text.replace("\n", " ")


def test_laplacian_of_what_is_no_number_of_an_array():
    with pytest.raises(jaxbp.errors.InvalidArgument, match="to one number"):
        jaxbp.laplacian(lambda x: x * 2)(X)
    with pytest.raises(jaxbp.errors.InvalidArgument, match="must be one integer"):
        jaxbp.laplacian(jnp.sum, (0, 1))


def test_a_plan_on_the_clock():
    def f(x, times):
        for _ in range(times):
            x = jnp.cumprod(jnp.linalg.cholesky(jnp.diag(x) + 2)[-1])
        return x

    plan = jaxbp.jacobian(f).plan(X[:4], 1, measure=True)
    assert plan.measured and plan.chosen.measured_s is not None
    assert plan.chosen in plan.ways and "predicted and measured" in str(plan)
    assert not any("differs" in note for note in plan.notes)
    with pytest.raises(jaxbp.errors.InvalidArgument, match="needs arrays"):
        types = jax.ShapeDtypeStruct((4,), np.float32)
        jaxbp.hessian(jnp.sum).plan(types, measure=True)
    assert "Hessian of" in str(jaxbp.hessian(jnp.sum).plan(types))


@pytest.mark.parametrize("count", [3, 20, 200])
def test_an_infinite_slope_stays_on_the_diagonal(count, monkeypatch):
    monkeypatch.setattr(order, "CLEARLY", np.inf)
    monkeypatch.setattr(order, "SEEN", -np.inf)
    x = jnp.arange(float(count))
    found = np.asarray(jaxbp.jacobian(lambda x: jnp.sqrt(x) + jnp.sin(x))(x))
    assert np.isinf(found[0, 0]) and np.isfinite(found.ravel()[1:]).all()


def test_the_branch_that_is_taken_may_depend_on_nothing(way):
    """At a known index, where the program of that branch alone is opened."""

    def f(x, y):
        taken = jnp.sum(y) > -1e4
        return jax.lax.cond(taken, jnp.sin, lambda _: jnp.sin(x), y)

    x = jnp.asarray(X)
    for place in (0, 1):
        agree(jaxbp.jacobian(f, place)(x, x), jax.jacfwd(f, place)(x, x))
        assert jaxbp.sparse.pattern(f, x, x, argnums=place).nse == len(x) * place


def test_short_sums_of_large_products():
    """What is added part by part: experts' outputs, and the coordinates of points."""
    V = np.random.default_rng(1).normal(size=(4, 24, 24))
    x = np.linspace(-1.0, 1.0, 24)

    def experts(x):
        return jnp.einsum("e,eij,j->i", jnp.sin(x[:4]), V, jnp.tanh(x))

    found, wanted = jaxbp.jacobian(experts), jax.jacfwd(experts)
    assert found.plan(x).chosen.order
    np.testing.assert_allclose(found(x), wanted(x), rtol=1e-12, atol=1e-12)


def test_a_loop_is_swept_once_for_all_its_outputs():
    """Its other outputs are not counted, and no identity is pushed through it."""

    def step(x, u):
        return jnp.tanh(x) + u, x.sum() * u

    us = np.linspace(0.0, 1.0, 12).reshape(6, 2)
    second = lambda us: jax.lax.scan(step, jnp.zeros(2), us)[1]  # noqa: E731
    plan = jaxbp.jacobian(second).plan(us)
    assert plan.chosen.name == "forward"
    times = {way.name: way.time_s for way in plan.ways}
    assert times["from the inputs"] > 0.9 * times["forward"]
    np.testing.assert_allclose(
        jaxbp.jacobian(second)(us), jax.jacrev(second)(us), rtol=1e-12
    )


def test_a_solve_for_a_vector_goes_forward():
    f = lambda x: jnp.linalg.solve(np.eye(N) * 4 + W * jnp.tanh(x)[None], x)  # noqa: E731
    assert jaxbp.jacobian(f).plan(X).chosen.name == "forward"


def test_a_convolution_inside_a_branch():
    def f(x, i):
        return jax.lax.cond(i > 0, jnp.sin, lambda a: jnp.convolve(a, a)[:3], x)

    x = jnp.linspace(0.2, 1.0, 3)
    wanted = jax.jacfwd(f)(x, 0)
    np.testing.assert_allclose(jaxbp.jacobian(f)(x, 0), wanted, rtol=1e-6)


def test_functions_inside_a_model_are_refused_in_words():
    model = {"w": jnp.ones((2, 3)), "activation": jnp.tanh}
    f = lambda m, x: m["activation"](m["w"] @ x)  # noqa: E731
    x = jnp.ones(3)
    for of in (jaxbp.jacobian(f), jaxbp.jacobian(f).plan):
        with pytest.raises(DtypeMismatch, match=r"activation.*partition"):
            of(model, x)
    assert jaxbp.jacobian(f, 1).plan(model, x).inputs == 3
