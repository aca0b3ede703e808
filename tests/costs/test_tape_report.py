"""`jaxbp.tape`: rows that sum to the counted tape, each with its line and reason."""

import sys

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from jaxbp.problems.programs import PROGRAMS, program

X = jnp.ones(4, jnp.float32)


def line_of(function, offset=0):
    return f"{function.__code__.co_firstlineno + offset} ("


def rows(f, *args, **options):
    return jaxbp.tape(f, *args, **options).rows


@pytest.mark.parametrize("name", PROGRAMS)
def test_rows_sum_to_the_counted_tape_and_have_lines_and_readers(name):
    it = program(name, "small")
    report = jaxbp.tape(it.f, *it.args)
    counted = jaxbp.costs.counted(it.f, *it.args)
    assert report.total_bytes == counted["tape_bytes"]
    assert report.total_bytes == sum(row.tape_bytes for row in report.rows)
    assert sum(report.by_line.values()) == report.total_bytes
    own = ("programs", "jaxbp")  # none of them is told by the line of this test
    for row in report.rows:
        assert row.readers and row.why and all(part in row.line for part in own), row
        assert row.origin not in ("scan", "while", "cond"), row
        assert row.times == 1 or row.tape_bytes % row.times == 0


@pytest.mark.parametrize(
    ("f", "why"),
    [
        (jnp.tanh, "slope of `tanh` needs its output"),
        (jnp.sin, "slope of `sin` needs its operand"),
        (jnp.exp, "the slope of `exp` is its output"),
        (lambda x: 3 / x, "slope of `div` needs its output"),
        (lambda x: jnp.flip(x) / x, "slope of `div` needs its operand 2"),
        (
            lambda x: x * jnp.flip(x),
            "operand of `mul` for the other operand's gradient",
        ),
        (lambda x: jnp.dot(x, x), "operand of `dot_general` for the other operand's"),
        (lambda x: x[jnp.array([0, 2])], "indices of `gather`"),
        (lambda x: jnp.where(x > 0, x, 2), "condition of `select_n`"),
        (jax.checkpoint(jnp.sin), "input of a checkpoint, which runs again from it"),
        (
            lambda x: jax.lax.while_loop(lambda c: c[0] < 9, lambda c: jnp.sin(c), x),
            "where blocks of a loop start",
        ),
        (
            lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.exp, x),
            "says which branch was taken",
        ),
    ],
)
def test_reasons(f, why):
    found = rows(lambda x: 2 * f(x).sum(), X)
    assert any(reader.why.startswith(why) for row in found for reader in row.readers)


def test_an_operand_is_no_output_though_both_stand_on_one_line():
    found = rows(lambda x: jnp.sin(jnp.sin(x)).sum(), X)
    assert {row.why for row in found} == {"slope of `sin` needs its operand"}
    assert [row.made_by for row in found] == ["argument `x`", "sin"]


def test_custom_rules_and_inner_jits_are_looked_into():
    @jax.custom_vjp
    def rule(x):
        return jnp.sin(x)

    rule.defvjp(lambda x: (jnp.sin(x), jnp.cos(x)), lambda r, bar: (bar * r,))
    twice = jax.jit(lambda y: y + y)
    (row,) = rows(lambda x: rule(twice(x)).sum(), X)
    assert row.origin == "cos" and "backward rule" in row.why


def test_nested_scans_tell_the_lines_of_their_bodies_and_times():
    def inner(g, _):
        return jnp.tanh(g), None

    def outer(h, x):
        h = jax.lax.scan(inner, h, None, length=3)[0]
        return h * x, None

    found = rows(
        lambda x: jax.lax.scan(outer, x, jnp.ones((5, 4), X.dtype))[0].sum(), X
    )
    tanh = [row for row in found if row.origin == "tanh"]
    assert [(row.times, row.tape_bytes) for row in tanh] == [(15, 15 * 16)]
    assert line_of(inner, 1) in tanh[0].line
    assert all(line_of(inner, 1) in reader.line for reader in tanh[0].readers)
    again = tanh[0].recompute_flops, tanh[0].recompute_transcendentals
    assert again == (0, 60)


def test_what_branches_share_is_told_of_each():
    def f(x):
        return jax.lax.cond(
            x[0] > 0, lambda x: jnp.exp(jnp.exp(x)), lambda x: jnp.tanh(jnp.tanh(x)), x
        ).sum()

    assert "tanh or exp" in {row.origin for row in rows(f, X)}


def test_held_is_what_is_alive_in_any_case():
    W = jnp.ones((4, 4), jnp.float32)

    def f(x, a):
        y = jnp.tanh(x)
        return y, jnp.sin(y * a["b"]) @ W

    report = jaxbp.tape(f, X, {"b": X})
    held = {row.made_by: row.held for row in report.rows}
    assert held == {
        "tanh": "output", "argument `a['b']`": "argument", "constant": "constant",
        "mul": "",
    }  # fmt: skip
    assert report.extra_bytes == 16 and report.held_bytes == 16 + 16 + 64


def test_the_peak_of_the_backward_pass_by_hand():
    def f(x):
        return jnp.tanh(jnp.tanh(jnp.tanh(x))).sum()

    report = jaxbp.tape(f, X)
    live = [(s.primitive, s.tape_bytes, s.cotangent_bytes) for s in report.steps]
    assert live == [
        ("reduce_sum", 48, 4 + 16), ("tanh", 48, 32), ("tanh", 32, 32), ("tanh", 16, 32)
    ]  # fmt: skip
    assert report.peak is not None and report.peak.live_bytes == 80
    axes = report.picture().axes[0]
    assert "80 B" in axes.texts[0].get_text()


def test_a_checkpoints_own_tape_is_alive_while_it_is_pulled():
    def f(x):
        return jax.checkpoint(lambda x: jnp.tanh(jnp.tanh(x)))(jnp.sin(x)).sum()

    assert max(step.again_bytes for step in jaxbp.tape(f, X).steps) == 32


def test_diff_of_two_options():
    def step(h, _):
        return jnp.tanh(jnp.sin(h)) * 2, None

    def f(x):
        return jax.lax.scan(step, x, None, length=6)[0].sum()

    with jaxbp.options(scan_residuals="stack"):
        before = jaxbp.tape(f, X)
    with jaxbp.options(scan_residuals="recompute"):
        after = jaxbp.tape(f, X)
    diff = before.diff(after)
    assert diff and not before.diff(before)
    assert (
        sum(row.change for row in diff.rows) == after.total_bytes - before.total_bytes
    )
    assert after.total_bytes < before.total_bytes
    assert line_of(step, 1) in str(diff)
    assert len(diff.as_dicts()) == len(diff.rows)
    assert "keeps the same" in str(before.diff(before))


def test_a_checkpointed_function_keeps_its_lines():
    def f(x):
        for _ in range(8):
            x = jnp.tanh(jnp.sin(x) @ x)
        return x.sum()

    x = jnp.ones((64, 64), jnp.float32)
    found = jaxbp.tape(jaxbp.checkpointed(f, budget="120kB"), x)
    assert found.total_bytes < jaxbp.tape(f, x).total_bytes
    assert all(line_of(f, 2) in row.line for row in found.rows if row.tape_bytes > 64)


def test_types_alone_and_nothing_to_keep():
    struct = jax.ShapeDtypeStruct((1 << 20, 1 << 20), jnp.float32)
    report = jaxbp.tape(lambda x: jnp.exp(x).sum(), struct)
    assert report.extra_bytes == 1 << 42
    nothing = jaxbp.tape(lambda x: (3 * x).sum(), X)
    assert nothing.extra_bytes == 0 and "keeps 0 B" in str(nothing)
    assert jaxbp.tape(lambda x: x, X).peak is None
    jaxbp.tape(lambda x: x, X).picture()
    assert jaxbp.tape(jnp.sin, 2.0).rows[0].held == "argument"
    assert jaxbp.tape(lambda x: jnp.sin(x).sum(), jnp.ones((0,))).total_bytes == 0
    assert jaxbp.tape(lambda z: abs(z * z).sum(), X.astype(complex)).total_bytes > 0


def test_both_float_types_and_a_batch():
    for dtype in (jnp.float32, jnp.float64):
        x = jnp.ones((3, 2), dtype)
        (row,) = rows(lambda x: jax.vmap(lambda y: jnp.tanh(y).sum())(x).sum(), x)
        assert row.tape_bytes == 6 * dtype.dtype.itemsize


def test_measured_beside_counted():
    report = jaxbp.tape(lambda x: jnp.tanh(x).sum(), X, measure=True)
    if report.compiled is None:
        pytest.skip("this XLA tells no plan")
    assert report.compiled.output_bytes >= 20
    assert "Compiled, value and pullback take" in str(report)


def test_library_functions_are_told_by_the_line_that_calls_them(tmp_path, monkeypatch):
    room = tmp_path / "site-packages"
    room.mkdir()
    (room / "a_taped_library.py").write_text(
        "import jax.numpy as jnp\ndef act(x):\n    return jnp.tanh(x)\n"
    )
    monkeypatch.syspath_prepend(str(room))
    import a_taped_library  # pyright: ignore[reportMissingImports]

    def f(x):
        return a_taped_library.act(x).sum()

    try:
        (row,) = rows(f, X)
        assert line_of(f, 1) in row.line and line_of(f, 1) in row.readers[0].line
        (row,) = rows(a_taped_library.act, X)  # no line of the user's calls it
        assert "a_taped_library.py:3 (act)" in row.line
    finally:
        sys.modules.pop("a_taped_library")


def test_refusals_say_what_to_do():
    with pytest.raises(jaxbp.errors.InvalidArgument, match="outside `argnums`"):
        jaxbp.tape(lambda x: x if x > 0 else -x, 2.0)
    with pytest.raises(jaxbp.errors.InvalidArgument, match="return"):
        jaxbp.tape(lambda x: None, 2.0)
    with pytest.raises(jaxbp.errors.InvalidArgument, match=r"2\.0, not 2"):
        jaxbp.tape(lambda x: x, 2)
