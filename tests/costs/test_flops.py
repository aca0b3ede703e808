"""Flops of small programs, by hand; every primitive with a rule has an entry."""

import jax
import jax.custom_batching
import jax.numpy as jnp
import pytest
from jax import lax
from jax.custom_derivatives import linear_call
from jax.extend.core import Primitive

import jaxbp
from jaxbp import rules
from jaxbp.costs import traced_amount
from jaxbp.costs.work import BY_KIND, TABLE
from jaxbp.rules import registry

A, B = jnp.ones((3, 5)), jnp.ones((5, 7))
X, Z = jnp.ones(8), jnp.ones(8, complex)
S = jnp.eye(6)
IMAGE = jnp.ones((2, 8, 8, 3))


def window(x, init, op):
    return lax.reduce_window(x, init, op, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def flops(f, *args):
    counted = traced_amount(f, *args).flops
    assert counted.certain
    return counted.low


@pytest.mark.parametrize(
    ("f", "args", "expected"),
    [
        (lambda a, b: a @ b, (A, B), 2 * 3 * 5 * 7),
        (lambda a: jnp.einsum("bij,bjk->bik", a, a), (jnp.ones((4, 5, 5)),), 1000),
        (lambda x: x @ x, (X,), 16),
        (lambda x: x + x * x, (X,), 16),
        (lambda x: x**3, (X,), 16),
        (lambda x: x**-2, (X,), 16),
        (lambda x: lax.clamp(0.0, x, 1.0), (X,), 8),
        (lambda x: jnp.where(x > 0, x, -x), (X,), 24),
        (jnp.sum, (X,), 7),
        (lambda a: a.max(0), (A,), 15 - 5),
        (jnp.argmax, (X,), 7),
        (lambda x: jnp.argmax(x) + 1, (X,), 7),
        (lambda a: jnp.cumsum(a, 1), (A,), 15 - 3),
        (lambda x: jnp.tanh(x).reshape(2, 4).T, (X,), 0),
        (lambda x: x[:4] * 2, (X,), 4),
        (lambda x: x.astype(jnp.float32), (X,), 0),
        (lambda x: x.at[jnp.array([0, 3])].add(x[:2]), (X,), 2),
        (lambda x: x.at[jnp.array([0, 3])].set(x[:2]), (X,), 0),
        (lambda x: x * jnp.arange(8) ** 2, (jnp.arange(8),), 0),  # no flops on ints
        (lambda x: window(x, -jnp.inf, lax.max), (IMAGE,), 2 * 4 * 4 * 3 * 3),
        (lambda x: lax.sort(x), (X,), 8 * 3),
        (lambda x: lax.top_k(x, 4)[0], (X,), 8 * 2),
        (jnp.fft.fft, (Z,), 8 * 8 * 3),
        (jnp.fft.fft2, (jnp.ones((4, 8), complex),), 8 * 32 * (2 + 3)),
        (jnp.fft.rfft, (X,), 8 * 8 * 3),
    ],
)
def test_hand_counts(f, args, expected):
    with jax.numpy_dtype_promotion("standard"):
        assert flops(f, *args) == expected


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (  # and the other triangle's entries selected away
            lambda s: lax.linalg.cholesky(s, symmetrize_input=False),
            6**3 / 3 + 6**2,
        ),
        (lambda s: lax.linalg.lu(s)[0], 2 * 6**3 / 3),
        (lambda s: lax.linalg.triangular_solve(s, s[:, :2], left_side=True), 6 * 6 * 2),
        (lambda s: lax.linalg.eigh(s, symmetrize_input=False)[0], 9 * 6**3),
        (lambda s: lax.linalg.svd(s, compute_uv=False), 4 * 6**3),
        (lambda s: lax.linalg.svd(s)[0], 26 * 6**3),
        (lambda s: lax.linalg.svd(s, full_matrices=False)[0], 26 * 6**3),
        (lambda s: lax.linalg.qr(s[:, :3])[0], 4 * 9 * (6 - 1)),
        (
            lambda s: lax.linalg.tridiagonal_solve(s[0], s[1], s[0], s[:, :2]),
            3 * 6 + 5 * 12,
        ),
    ],
)
def test_factorizations_of_golub_and_van_loan(f, expected):
    assert flops(f, S) == expected


@pytest.mark.parametrize(
    ("f", "flops", "transcendentals"),
    [
        (jnp.tanh, 0, 8),
        (lambda x: jnp.exp(x) * jnp.sin(x), 8, 16),
        (lax.logistic, 24, 8),
        (lambda x: x**2.5, 0, 8),
        (lax.erf_inv, 0, 8),
        (lambda x: lax.cumlogsumexp(x), 3 * 7, 2 * 7),
    ],
)
def test_transcendental_functions_are_counted_apart(f, flops, transcendentals):
    counted = traced_amount(f, X)
    assert counted.flops.low == flops
    assert counted.transcendentals.low == transcendentals


def test_a_convolution_is_its_products():
    image, kernel = jnp.ones((2, 3, 8, 8)), jnp.ones((4, 3, 3, 3))

    def f(image, kernel):
        return lax.conv(image, kernel, (1, 1), "VALID")

    assert flops(f, image, kernel) == 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)


def as_custom_vmap(f):
    wrapped = jax.custom_batching.custom_vmap(f)
    wrapped.def_vmap(lambda size, batched, x: (f(x), True))
    return wrapped


def as_custom_jvp(f):
    wrapped = jax.custom_jvp(f)
    wrapped.defjvp(lambda x, x_dot: (f(*x), x_dot[0]))
    return wrapped


def as_linear_call(f):
    return lambda x: linear_call(lambda _, x: f(x), lambda _, y: y, (), x)


@pytest.mark.parametrize(
    "form",
    [
        as_custom_vmap,
        as_custom_jvp,
        as_linear_call,
        lambda f: lax.composite(f, "tests.f"),
        jax.jit,
        jax.checkpoint,
        lambda f: lambda x: lax.cond(True, f, f, x),
        lambda f: lambda x: lax.map(f, x[None])[0],
        lambda f: lambda x: jax.jit(jax.jit(f))(x),
    ],
)
def test_calls_cost_what_they_call(form):
    def f(x):
        return jnp.sin(x) * x + 1

    assert traced_amount(form(f), X).flops == traced_amount(f, X).flops


def test_custom_derivatives_cost_their_function():
    @jax.custom_vjp
    def f(x):
        return x * x + x

    f.defvjp(lambda x: (f(x), x), lambda x, y_bar: (y_bar,))
    assert flops(f, X) == 16


def test_what_no_output_needs_is_not_counted():
    def wasteful(x):
        x @ x
        return jax.jit(lambda x: (x + 1, jnp.outer(x, x)))(x)[0]

    assert flops(wasteful, X) == 8


def test_a_linear_solve_costs_its_solver():
    # LU, two triangular solves; matvec and the transposed solver do not run.
    assert flops(jnp.linalg.solve, S, jnp.ones(6)) == 2 * 6**3 / 3 + 2 * 6**2


def test_every_primitive_with_a_rule_has_an_entry():
    inlined = {
        "call_hi_primitive", "closed_call", "composite", "custom_jvp_call", "jit",
        "custom_linear_solve", "custom_vjp_call", "custom_vmap_call", "eval_jaxpr",
        "linear_call", "one_function", "remat2", "remat_opt", "scan", "shard_map",
        "for_cpu", "while", "cond", "xla_metadata_call",
    }  # fmt: skip
    refused = {"ffi_call", "io_callback", "pure_callback"}  # their work is not known
    # JAX transposes or refuses the one; recorders alone see the others whole.
    never_run = {"custom_lin", "scan_pull", "while_forward", "while_pull"}
    priced = {
        name
        for name, rule in rules.table().items()
        if registry._kinds.get(name, getattr(rule, "kind", "")) in BY_KIND
    }
    words = ("bcoo", "bcsr", "coo_", "csr_", "todense", "spsolve")
    # Their work depends on the pattern: it is priced as assumed.
    sparse = {name for name in rules.known() if name.startswith(words)}
    apart = inlined | refused | never_run | sparse | priced
    assert rules.known() - apart - set(TABLE) == set()


def test_a_primitive_without_an_entry_is_assumed_and_named():
    def doubled(x):
        struct = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(lambda x: 2 * x, struct, x)

    counted = traced_amount(doubled, X)
    assert counted.flops.low == 8
    assert counted.assumed == {"pure_callback"}


def test_a_registered_rule_is_priced_like_the_built_in_ones(monkeypatch):
    """Elementwise: one flop an element; what moves: none; both are fused."""
    monkeypatch.setattr(registry, "_rules", dict(registry._rules))  # this test's own
    softsign_p = Primitive("softsign_priced")
    softsign_p.def_impl(lambda x: x / (1 + jnp.abs(x)))
    softsign_p.def_abstract_eval(lambda x: x)
    jaxbp.rules.elementwise(softsign_p, slope=lambda y: (1 - jnp.abs(y)) ** 2)
    turned_p = Primitive("turned_priced")
    turned_p.def_impl(lambda x: x[::-1])
    turned_p.def_abstract_eval(lambda x: x)
    jaxbp.rules.linear(
        turned_p,
        transpose=lambda y_bar, x: turned_p.bind(y_bar),
        form=jaxbp.rules.MOVES,
    )
    x = jax.ShapeDtypeStruct((100,), jnp.float32)
    found = traced_amount(lambda x: turned_p.bind(softsign_p.bind(x)), x)
    assert (found.flops.high, found.assumed) == (100, frozenset())
    assert jaxbp.rules.kind_of(softsign_p) == "elementwise"
