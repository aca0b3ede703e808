"""Every rule, by the table of cases: both modes, against JAX and against numbers."""

import importlib
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbp
from jaxbp.rules import registry
from tests.rules.case import Case, draw, floating, primitive_names, seed
from tests.rules.cases_linalg import PHASES

HERE = Path(__file__).parent
TABLES = [
    importlib.import_module(f"tests.rules.{path.stem}")
    for path in sorted(HERE.glob("cases*.py"))
]
CASES = [case for table in TABLES for case in table.CASES]
DOUBLE = {"float": np.float64, "complex": np.complex128}
SINGLE = {"float": np.float32, "complex": np.complex64}
MESH = "needs a mesh: tests/control"
EFFECT = "no value depends on it: tests/control"
HIDDEN = "JAX exports no call for it"
NO_CASE = {  # rules without a row, with the reason
    "add_any": "sums of cotangents: every row of second order has them",
    "all_gather": MESH,
    "all_gather_invariant": MESH,
    "all_gather_reduced": MESH,
    "all_to_all": MESH,
    "axis_index": MESH,
    "check": EFFECT,
    "dce_sink": EFFECT,
    "debug_callback": EFFECT,
    "debug_print": EFFECT,
    "ffi_call": "refused, as in JAX: tests/transforms",
    "igamma_grad_a": "JAX has no derivative of it: tests/rules/test_limits.py",
    "inspect_sharding": EFFECT,
    "io_callback": "refused, as in JAX: tests/transforms",
    "layout_constraint": HIDDEN,
    "one_function": "a call: tests/linear/test_one_function.py",
    "one_minus_square": HIDDEN,
    "pbroadcast": MESH,
    "pbroadcast_dynamic": MESH,
    "ppermute": MESH,
    "preduced": MESH,
    "psum": MESH,
    "psum_invariant": MESH,
    "pure_callback": "refused, as in JAX: tests/transforms",
    "pvary": MESH,
    "ragged_all_to_all": MESH,
    "reduce_scatter": MESH,
    "reduced_vary_cast": MESH,
    "reduced_vary_cast_p": MESH,
    "reshard": MESH,
    "schur": "JAX has no derivative of it: tests/rules/test_schur.py",
    "stage": "JAX binds it on constants alone",
    "tie": HIDDEN,
    "unreduced_psum": MESH,
    "unreduced_reduce_scatter": MESH,
    "vary_unreduced_cast": MESH,
    "vary_unreduced_cast_p": MESH,
    "with_memory_space_constraint": "for kernels of accelerators",
    "xla_metadata_value": "a name: tests/linear/test_one_function.py",
}
SPARSE = (
    "bcoo_",
    "bcsr_",
    "coo_",
    "csr_",
    "spsolve",
    "todense",
)  # tests/rules/test_sparse.py
STEP = 1e-5  # of central differences in float64: their error is about 1e-10
DIFFERENCE_RTOL = 1e-6  # leaves room for third derivatives of size 1e4
SINGLE_RTOL = 2e-4  # float32: 2e3 roundings; conditioning is what float64 tests


def rows(keep=lambda case: True, kinds=("float", "complex")):
    """The rows to `keep`, once per kind of dtype; those of a later JAX left out. But
    for the first of each primitive they are marked as further ones."""
    first = {case.name: case for case in reversed(CASES) if keep(case)}
    further = lambda case: () if first[case.name] is case else pytest.mark.further  # noqa: E731
    return pytest.mark.parametrize(
        ("case", "kind"),
        [
            pytest.param(
                case,
                kind,
                id=f"{case.name}-{case.variant}-{kind}",
                marks=further(case),
            )
            for case in CASES
            for kind in kinds
            if kind in case.dtypes and keep(case) and case.since <= jax.__version_info__
        ],
    )


def each_row_once(keep):
    """The rows to `keep`, of each primitive the first in its widest kind, the others in
    their first."""
    firsts = {case.name: case for case in reversed(CASES) if keep(case)}
    kinds = [(c, c.dtypes[-1 if firsts.get(c.name) is c else 0]) for c in CASES]
    return pytest.mark.parametrize(
        ("case", "kind"),
        [
            pytest.param(case, kind, id=f"{case.name}-{case.variant}-{kind}")
            for case, kind in kinds
            if keep(case) and case.since <= jax.__version_info__
        ],
    )


def one_row_of_each(keep):
    """The first row of each primitive that is to `keep`, in its widest kind."""
    rows_of = {case.name: case for case in reversed(CASES) if keep(case)}
    return pytest.mark.parametrize(
        ("case", "kind"),
        [
            pytest.param(case, case.dtypes[-1], id=f"{name}-{case.dtypes[-1]}")
            for name, case in sorted(rows_of.items())
            if case.since <= jax.__version_info__
        ],
    )


class Point:
    """A case at a point: the function of its floating arguments, and seeds."""

    def __init__(self, case, dtype):
        args, self.places = draw(case, dtype)
        self.args = args
        self.xs = tuple(args[i] for i in self.places)
        self.case = case
        rng = np.random.default_rng(11)
        self.x_dots = tuple(seed(rng, x) for x in self.xs)
        self.y = jax.eval_shape(self.call, *self.xs)
        self.y_bars = [seed(rng, y) for y in self.y]

    def call(self, *xs):
        """The outputs of the case as a flat list."""
        whole = list(self.args)
        for place, x in zip(self.places, xs, strict=True):
            whole[place] = x
        return jax.tree.leaves(self.case.call(*whole))

    def curved(self, *xs):
        """y + y^2 / 2 of the outputs: a linear case has a second order too.

        The sum, because the square alone would undo a square root.
        """
        return [y + y * y / 2 if floating(y) else y for y in self.call(*xs)]

    @property
    def seeds(self):
        return self.xs, self.x_dots, self.y_bars

    def compiled(self, function):
        return jax.jit(function) if self.case.jit else function

    def by_both(self, order):
        """What we and what JAX find, in one compiled program."""
        ours = order(jaxbp, self)
        theirs = by_jax(self) if order is first_order else order(jax, self)
        both = self.compiled(lambda *seeds: (ours(*seeds), theirs(*seeds)))
        return both(*self.seeds)


def first_order(ad, point):
    """(y, y_dot, x_bar) as a function of arguments and seeds."""

    def derivatives(xs, x_dots, y_bars):
        y, y_dot = ad.jvp(point.call, xs, x_dots)
        if point.case.modes == "forward":
            return y, y_dot
        y_again, pullback = ad.vjp(point.call, *xs)
        return y, y_dot, y_again, pullback(y_bars)

    return whole(derivatives)


def by_jax(point):
    """`first_order` of JAX from one linearization, for half as much to compile."""
    if point.case.modes == "forward" or not all(map(floating, point.y)):
        return first_order(jax, point)

    def derivatives(xs, x_dots, y_bars):
        y, push = jax.linearize(point.call, *xs)
        x_bars = jax.linear_transpose(push, *xs)(y_bars)
        return [*y, *push(*x_dots), *y, *x_bars]

    return derivatives


def second_order(ad, point):
    """Derivatives of derivatives: forward of both modes, reverse of reverse.

    The last two are one, the Hessian of <y_bar, y> times x_dot, and JAX tells it once;
    but for vectors whose phase no function fixes.
    """
    told = ad is jax and point.case.reason != PHASES

    def derivatives(xs, x_dots, y_bars):
        def push(*xs):
            return ad.jvp(point.curved, xs, x_dots)[1]

        def pull(*xs):
            return ad.vjp(point.curved, *xs)[1](y_bars)

        forward = only_floating(ad.jvp(push, xs, x_dots)[1])
        if point.case.modes == "forward":
            return forward
        turned = ad.jvp(pull, xs, x_dots)[1]
        twice = turned if told else ad.vjp(pull, *xs)[1](x_dots)
        return forward, turned, twice

    return whole(derivatives)


def only_floating(values):
    return [
        v for v in jax.tree.leaves(values) if jnp.result_type(v) != jax.dtypes.float0
    ]


def whole(derivatives):
    """The same function with float0 left out of its result, which jit cannot give."""
    return lambda *args: only_floating(derivatives(*args))


def assert_close(found, expected, rtol, terms=0.0):
    """`terms`: the size of what is summed, where a sum may cancel to rounding."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        a, b = np.asarray(a), np.asarray(b)
        if a.dtype.kind not in "fc":
            a, b = a.astype(np.float64), b.astype(np.float64)
        size = np.max(np.abs(b), initial=0, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(size, terms))


def pairing(lefts, rights):
    """The sum of products; of complex ones the real part: maps are linear over the
    reals, and imaginary parts need not agree."""
    pairs = zip(lefts, rights, strict=True)
    return sum(jnp.real(jnp.sum(a * b)) for a, b in pairs if floating(a))


@rows()
def test_first_order(case, kind):
    """All that one eager run of both modes can tell.

    The derivatives against JAX, against those of the rule under jit of vmap, the modes
    against each other and against central differences; the values against the
    function's own.
    """
    point = Point(case, DOUBLE[kind])
    program = jax.make_jaxpr(point.call)(*point.xs)
    assert case.name in primitive_names(program.jaxpr)
    found = eagerly(point)
    expected, batched = in_one_program(point)
    assert_close(found.whole(), expected, case.rtol)
    assert_close(batched, expected if case.vmap else [], case.rtol)
    check_values(point, found)
    if case.modes == "both":
        check_adjoint(point, found, max(1e-9, 10 * case.rtol))
    if case.differences:
        check_differences(point, found)


class Found(NamedTuple):
    """What one eager run of each mode gives; of reverse mode where JAX has it."""

    pushed: list  # the outputs, beside their tangents
    y_dots: list
    pulled: list  # the outputs, beside the pullback
    x_bars: tuple | None

    def whole(self):
        """As `first_order` lists it."""
        both = self.pushed, self.y_dots
        if self.x_bars is not None:
            both = *both, self.pulled, self.x_bars
        return only_floating(both)


def eagerly(point):
    pushed, y_dots = jaxbp.jvp(point.call, point.xs, point.x_dots)
    pulled, pullback = jaxbp.vjp(point.call, *point.xs)
    x_bars = pullback(point.y_bars) if point.case.modes == "both" else None
    return Found(pushed, y_dots, pulled, x_bars)


def in_one_program(point):
    """What JAX finds, and the second of two equal points of ours under vmap."""

    def both(seeds, twice):
        expected = by_jax(point)(*seeds)
        if not point.case.vmap:
            return expected, []
        batched = jax.vmap(first_order(jaxbp, point))(*twice)
        return expected, [leaf[1] for leaf in batched]

    twice = jax.tree.map(lambda x: np.stack([x, x]), point.seeds)
    return point.compiled(both)(point.seeds, twice)


def check_values(point, found):
    """What a derivative returns beside it is what the function gives without it.

    To the last bit, as JAX's is; where JAX's own is not, to rounding.
    """
    own = point.call(*point.xs)
    for value in (found.pushed, found.pulled):
        if not all(map(same_bits, value, own)):
            assert_close(value, own, point.case.rtol)
            assert not any(all(map(same_bits, v, own)) for v in values_of_jax(point))


def values_of_jax(point):
    """The value as each mode that JAX has returns it."""
    yield jax.jvp(point.call, point.xs, point.x_dots)[0]
    if point.case.modes == "both":
        yield jax.vjp(point.call, *point.xs)[0]


def same_bits(a, b) -> bool:
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def check_adjoint(point, found, rtol):
    left = pairing(point.y_bars, found.y_dots)
    right = pairing(found.x_bars, point.x_dots)
    np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol)


def check_differences(point, found):
    shifted = [
        point.call(
            *(x + sign * STEP * d for x, d in zip(point.xs, point.x_dots, strict=True))
        )
        for sign in (1, -1)
    ]
    for y_dot, high, low in zip(found.y_dots, *shifted, strict=True):
        if floating(high):
            numeric = [(np.asarray(high) - np.asarray(low)) / (2 * STEP)]
            assert_close([y_dot], numeric, DIFFERENCE_RTOL)


@each_row_once(lambda case: case.order == 2)
def test_second_order(case, kind):
    point = Point(case, DOUBLE[kind])
    # The square of a root is linear: its second derivative is rounding alone, of terms
    # of order one.
    terms = 1.0 if case.name == "sqrt" else 0.0
    assert_close(*point.by_both(second_order), 100 * case.rtol, terms)


@one_row_of_each(lambda case: case.single)
def test_single(case, kind):
    """Numbers in 32 bits; the types of every row are told by `test_low_precision`."""
    point = Point(case, SINGLE[kind])
    assert_close(*point.by_both(first_order), SINGLE_RTOL)


@rows(lambda case: case.single, kinds=("float",))
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_low_precision(case, kind, dtype):
    """Types alone, nothing run: no derivative is wider than its value in JAX."""
    try:
        point = Point(case, dtype)
        expected = jax.eval_shape(first_order(jax, point), *point.seeds)
    except (TypeError, ValueError, NotImplementedError) as refusal:
        pytest.skip(f"JAX refuses it in {dtype.__name__}: {refusal}"[:100])
    found = jax.eval_shape(first_order(jaxbp, point), *point.seeds)
    assert [(a.shape, a.dtype) for a in found] == [(b.shape, b.dtype) for b in expected]


def test_table_and_rules_name_the_same():
    """Rules that walk programs are tested in tests/control, not here."""
    control = "jaxbp.control."
    walked = {
        name
        for name, rule in registry.table().items()
        if getattr(rule, "__module__", "").startswith(control)
    }
    sparse = {n for n in registry.known() if n.startswith(SPARSE)}  # test_sparse.py
    assert NO_CASE.keys() <= registry.known()
    known = registry.known() - walked - set(NO_CASE) - sparse
    assert {case.name for case in CASES} == known


def test_every_exemption_has_its_reason():
    """A row that leaves a check out says why."""
    checks = ("differences", "order", "modes", "jit", "vmap", "single", "rtol")
    default = Case("", None, ())
    bare = [
        f"{case.name} {case.variant}".strip()
        for case in CASES
        if not case.reason
        and any(getattr(case, c) != getattr(default, c) for c in checks)
    ]
    assert not bare
