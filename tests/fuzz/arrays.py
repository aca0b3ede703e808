"""Operations on whole arrays: sums, products, contractions, factorizations, Fourier."""

from tests.fuzz.domains import ANY, APART, MODERATE, NONZERO, POSITIVE, UNIT
from tests.fuzz.scope import BOTH, COMPLEX, FLOATS, WIDE
from tests.fuzz.shapes import axis, filled, matrix, ranked, spread, vector

# Reductions -----------------------------------------------------------------------


def axes(scope, x):
    """Some axes of an array: one, or all."""
    return scope.of([(axis(scope, x),), tuple(range(x.ndim))])


def reduction(name, domain=ANY, dtypes=FLOATS, lax=False):
    def row(scope):
        x = scope.value(domain, dtypes, lambda v: v.ndim >= 1 and v.size > 0)
        if lax:
            return f"{name}({x}, {axes(scope, x)})"
        return f"{name}({x}, axis={axis(scope, x)})"

    return row


def summed(scope):
    x = vector(scope)  # of nothing too
    return f"lax.reduce_sum({x}, {axes(scope, x)})"


def extreme(name):
    def row(scope):
        x = spread(scope)
        return f"{name}({x}, {axes(scope, x)})"

    return row


REDUCTIONS = [
    summed,
    reduction("lax.reduce_prod", NONZERO, BOTH, lax=True),
    extreme("lax.reduce_max"),
    extreme("lax.reduce_min"),
    reduction("jnp.mean"),
    reduction("jnp.var", APART, WIDE),
    reduction("jnp.std", APART, WIDE),
    reduction("jax.nn.logsumexp", MODERATE, WIDE),
    reduction("jax.nn.softmax", MODERATE, WIDE),
    reduction("jax.nn.log_softmax", MODERATE, WIDE),
    reduction("jnp.linalg.norm", POSITIVE, WIDE),
    reduction("jnp.prod", NONZERO, WIDE),
    reduction("jax.nn.standardize", APART, WIDE),
]


def cumulative(name, domain=ANY, dtypes=FLOATS):
    def row(scope):
        x = scope.value(domain, dtypes, lambda v: v.ndim >= 1)
        back = scope.of([False, True])
        return f"{name}({x}, axis={axis(scope, x)}, reverse={back})"

    return row


CUMULATIVE = [
    cumulative("lax.cumsum"),
    cumulative("lax.cumprod", NONZERO, BOTH),
    cumulative("lax.cummax", APART, WIDE),
    cumulative("lax.cummin", APART, WIDE),
    cumulative("lax.cumlogsumexp", MODERATE, WIDE),
]


def window(name, domain, dtypes=WIDE):
    def row(scope):
        x = scope.value(domain, dtypes, lambda v: v.ndim == 2 and min(v.shape) >= 2)
        sizes = scope.of([(2, 1), (1, 2), (2, 2)])
        steps = scope.of([(1, 1), (2, 1)])
        edges = scope.of(["'VALID'", "'SAME'"])
        return name.format(x=x, sizes=sizes, steps=steps, edges=edges)

    return row


WINDOWS = [
    window(
        "lax.reduce_window({x}, np.zeros((), {x}.dtype), lax.add, {sizes}, "
        "{steps}, {edges})",
        ANY,
    ),
    window(
        "lax.reduce_window({x}, np.array(-np.inf, {x}.dtype), lax.max, {sizes}, "
        "{steps}, {edges})",
        APART,
    ),
]


# Contractions ---------------------------------------------------------------------


def dot_general(scope):
    x = matrix(scope)
    cx = axis(scope, x)
    y = scope.value(
        fits=lambda v: v.ndim >= 1 and v.dtype == x.dtype and x.shape[cx] in v.shape
    )
    cy = y.shape.index(x.shape[cx])
    pairs = [
        (a, b)
        for a in range(x.ndim)
        for b in range(y.ndim)
        if a != cx and b != cy and x.shape[a] == y.shape[b]
    ]
    if pairs and scope.of([True, False]):
        a, b = scope.of(pairs)
        return f"lax.dot_general({x}, {y}, ((({cx},), ({cy},)), (({a},), ({b},))))"
    return f"lax.dot_general({x}, {y}, ((({cx},), ({cy},)), ((), ())))"


def matmul(scope):
    x = vector(scope)
    y = scope.value(
        fits=lambda v: (
            v.ndim in (1, 2) and v.dtype == x.dtype and v.shape[0] == x.shape[-1]
        )
    )
    return f"{x} @ {y}"


def einsum(scope):
    x = scope.value(ANY, BOTH, lambda v: v.ndim == 2)
    y = scope.value(fits=lambda v: v.like(x))
    spec = scope.of(["ij,ij->i", "ij,kj->ik", "ij,ij->", "ij,ij->ij", "ij,kj->j"])
    return f"jnp.einsum({spec!r}, {x}, {y})"


def outer(scope):
    x = scope.value(ANY, BOTH, lambda v: v.ndim == 1 and v.size > 0)
    y = scope.value(fits=lambda v: v.ndim == 1 and v.size > 0 and v.dtype == x.dtype)
    return scope.of([f"jnp.outer({x}, {y})", f"jnp.convolve({x}, {y})"])


def convolution(scope):
    """One channel, or several, over a line; strides, padding and dilations drawn."""
    x = scope.value(ANY, BOTH, lambda v: v.ndim == 2 and min(v.shape) >= 1)
    y = scope.value(
        ANY, BOTH, lambda v: v.dtype == x.dtype and v.ndim == 2 and min(v.shape) >= 1
    )
    stride, low = scope.of([1, 2]), scope.of([0, 1, 2])
    left, right = scope.of([1, 2]), scope.of([1, 2])
    if (x.shape[1] - 1) * left + 1 + low + 1 < (y.shape[1] - 1) * right + 1:
        scope.of([])
    return (
        f"lax.conv_general_dilated({x}[:, None], {y}[:, None], ({stride},), "
        f"[({low}, 1)], lhs_dilation=({left},), rhs_dilation=({right},))"
    )


def attention(scope):
    x = scope.value(MODERATE, WIDE, lambda v: v.ndim == 2 and v.size > 0)
    return f"jax.nn.softmax({x} @ {x}.T, axis=1) @ {x}"


CONTRACTIONS = [dot_general, matmul, einsum, outer, convolution, attention]


# Factorizations -------------------------------------------------------------------
# Each takes a matrix made well conditioned: what is tested is the rule, not rounding.


def square(domain=MODERATE, dtypes=BOTH):
    def draw(scope):
        def fits(v):
            return v.ndim >= 2 and v.shape[-1] == v.shape[-2] > 0

        return scope.value(domain, dtypes, fits)

    return draw


def adjoint(x):
    return f"jnp.conj(jnp.swapaxes({x}, -1, -2))"


def eye(x):
    n = x.shape[-1]
    return f"jnp.broadcast_to(jnp.eye({n}, dtype={x}.dtype), {x.shape})"


def apart_eye(x):
    n = x.shape[-1]
    steps = [6.0 * k for k in range(n)]
    return f"jnp.broadcast_to(jnp.diag(jnp.array({steps}, {x}.dtype)), {x.shape})"


def factor(template, dtypes=BOTH):
    """Templates speak of x, its adjoint, an identity and a diagonal with gaps."""

    def row(scope):
        x = square(UNIT, dtypes)(scope)
        return template.format(x=x, adjoint=adjoint(x), eye=eye(x), apart=apart_eye(x))

    return row


POSITIVE_DEFINITE = "{x} @ {adjoint} + 2.0 * {eye}"
SHIFTED = "{x} + 4.0 * {eye}"
HERMITIAN = "0.5 * ({x} + {adjoint}) + {apart}"


def system(template):
    """Solves with right-hand sides that are in scope."""

    def row(scope):
        x = scope.value(
            UNIT, BOTH, lambda v: v.ndim == 2 and v.shape[0] == v.shape[1] > 0
        )
        b = scope.value(
            fits=lambda v: (
                v.ndim in (1, 2) and v.dtype == x.dtype and v.shape[0] == x.shape[0]
            )
        )
        column = f"{b}[:, None]" if b.ndim == 1 else f"{b}"
        return template.format(x=x, b=b, column=column, eye=eye(x))

    return row


LINALG = [
    factor(f"lax.linalg.cholesky({POSITIVE_DEFINITE})"),
    factor(f"lax.linalg.lu({SHIFTED})[0]"),
    factor(f"jnp.linalg.inv({SHIFTED})"),
    factor(f"jnp.linalg.slogdet({SHIFTED})[1]"),
    factor(f"jnp.linalg.det({SHIFTED})"),
    factor(f"jnp.linalg.qr({SHIFTED})"),
    factor(f"jnp.linalg.eigvalsh({HERMITIAN})"),
    factor(f"jnp.linalg.eigh({HERMITIAN})", WIDE),
    factor("lax.linalg.svd({x} + {apart} + {eye}, compute_uv=False)"),
    factor("jnp.linalg.svd({x} + {apart} + {eye}, full_matrices=False)", WIDE),
    factor("jax.scipy.linalg.expm({x})", WIDE),
    system("jnp.linalg.solve({x} + 4.0 * {eye}, {b})"),
    system(
        "lax.linalg.triangular_solve({x} + 4.0 * {eye}, {column}, left_side=True, "
        "lower=True)"
    ),
    system(
        "lax.linalg.triangular_solve({x} + 4.0 * {eye}, {column}, left_side=True, "
        "transpose_a=True, unit_diagonal=True)"
    ),
    system("jax.scipy.linalg.cho_solve((2.0 * {eye} + jnp.tril({x}, -1), True), {b})"),
    system(
        "lax.linalg.tridiagonal_solve(0.1 * {x}[:, 0], {x}[:, 0] + 3.0, "
        "0.2 * {x}[:, -1], {column})"
    ),
    system(
        "lax.custom_linear_solve(lambda v: ({x} + 4.0 * {eye}) @ v, {b}, "
        "lambda _, b: jnp.linalg.solve({x} + 4.0 * {eye}, b), "
        "lambda _, b: jnp.linalg.solve({x}.T + 4.0 * {eye}, b))"
    ),
]


# Fourier --------------------------------------------------------------------------


def transform(name, dtypes):
    def row(scope):
        x = filled(scope) if dtypes is FLOATS else ranked(1, dtypes, True)(scope)
        return f"{name}({x}, axis={axis(scope, x)})"

    return row


def inverse_real(scope):
    x = ranked(1, COMPLEX, True)(scope)
    n = x.shape[-1]
    return f"jnp.fft.irfft({x}, n={scope.of([2 * n - 1, max(1, 2 * n - 2)])})"


FOURIER = [
    transform("jnp.fft.fft", BOTH),
    transform("jnp.fft.ifft", BOTH),
    transform("jnp.fft.rfft", WIDE),
    inverse_real,
]
