"""Options: what is in force where a derivative is recorded stays with it."""

import asyncio
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp import settings
from jaxbp.control.loop import scan
from jaxbp.errors import InvalidArgument, UnknownName

W = jnp.linspace(-0.5, 0.5, 9).reshape(3, 3)
XS = jnp.ones((5, 3))


def rnn(w):
    def step(h, x):
        h = jnp.tanh(h @ w + x)
        return h, None

    return jnp.sum(lax.scan(step, jnp.zeros(3), XS)[0])


def products_after_a_loop(program):
    """Contractions outside the loops of a jaxpr."""
    return sum(e.primitive.name == "dot_general" for e in program.eqns)


def test_a_limit_on_what_a_loop_stacks_holds_where_the_pullback_is_called(monkeypatch):
    monkeypatch.setattr(scan, "FOLLOWS", 0)  # as of a carry that is large
    _, free = jaxbp.vjp(rnn, W)
    with jaxbp.loops(stack_limit_bytes=0):
        _, bound = jaxbp.vjp(rnn, W)
    assert products_after_a_loop(jax.make_jaxpr(free)(1.0).jaxpr) == 1
    assert products_after_a_loop(jax.make_jaxpr(bound)(1.0).jaxpr) == 0
    np.testing.assert_allclose(free(1.0)[0], bound(1.0)[0], rtol=1e-12)


def test_within_a_checkpoint_too():
    with jaxbp.loops(stack_limit_bytes=0):
        _, bound = jaxbp.vjp(jax.checkpoint(rnn), W)
    assert products_after_a_loop(jax.make_jaxpr(bound)(1.0).jaxpr) == 0


@jax.custom_vjp
def twice(x):
    return 2 * x


twice.defvjp(lambda x: (2 * x, None), lambda _, y_bar: (2 * y_bar,))


@pytest.mark.parametrize("wrap", [lambda f: f, jax.checkpoint, jax.jit])
def test_a_pushforward_is_as_strict_as_where_it_was_made(wrap):
    with jaxbp.strict_custom_vjp():
        _, strict = jaxbp.linearize(wrap(lambda x: twice(x)), 1.0)
    _, plain = jaxbp.linearize(wrap(lambda x: twice(x)), 1.0)
    with pytest.raises(InvalidArgument, match="strict_custom_vjp"):
        strict(1.0)
    with jaxbp.strict_custom_vjp():
        assert plain(1.0) == 2.0


def test_other_threads_do_not_see_them():
    seen, ready, leave = [], threading.Event(), threading.Event()

    def other():
        seen.append(settings.current().scan_residuals)
        with jaxbp.loops("recompute"):
            ready.set()
            leave.wait(10)
            seen.append(settings.current().scan_residuals)
        seen.append(settings.current().scan_residuals)

    with jaxbp.loops("stack"):
        thread = threading.Thread(target=other)
        thread.start()
        ready.wait(10)
        assert settings.current().scan_residuals == "stack"
        leave.set()
        thread.join()
    assert seen == ["auto", "recompute", "auto"]
    assert settings.current() == jaxbp.Options()


def test_nor_do_other_tasks():
    async def task(word):
        with jaxbp.loops(word):
            await asyncio.sleep(0)
            return settings.current().scan_residuals

    async def both():
        return await asyncio.gather(task("stack"), task("recompute"))

    assert asyncio.run(both()) == ["stack", "recompute"]


def test_an_argument_is_seen_by_jit_and_a_block_is_not():
    plain = jax.jit(jaxbp.grad(rnn))
    text = plain.lower(W).as_text()
    with jaxbp.loops("recompute"):
        assert plain.lower(W).as_text() == text
    again = jaxbp.grad(rnn, options=jaxbp.Options(scan_residuals="recompute"))
    assert jax.jit(again).lower(W).as_text() != text
    np.testing.assert_allclose(again(W), plain(W), rtol=1e-12)


TRANSFORMS = {
    "grad": lambda o: jaxbp.grad(twice, options=o)(1.0),
    "value_and_grad": lambda o: jaxbp.value_and_grad(twice, options=o)(1.0)[1],
    "vjp": lambda o: jaxbp.vjp(twice, 1.0, options=o)[1](1.0)[0],
    "jacrev": lambda o: jaxbp.jacrev(twice, options=o)(1.0),
    "hessian": lambda o: jaxbp.hessian(lambda x: twice(x) ** 2, options=o)(1.0) / 4,
    "hvp": lambda o: jaxbp.hvp(lambda x: twice(x) ** 2, (1.0,), (0.25,), options=o),
}
FORWARD = {
    "jvp": lambda o: jaxbp.jvp(twice, (1.0,), (1.0,), options=o)[1],
    "linearize": lambda o: jaxbp.linearize(twice, 1.0, options=o)[1](1.0),
    "jacfwd": lambda o: jaxbp.jacfwd(twice, options=o)(1.0),
}


@pytest.mark.parametrize("name", [*TRANSFORMS, *FORWARD])
def test_every_transform_takes_them(name):
    call = (TRANSFORMS | FORWARD)[name]
    assert call(None) == call(jaxbp.Options(scan_residuals="stack")) == 2.0
    with pytest.raises(InvalidArgument, match="`options` must be a jaxbp.Options"):
        call({"sums_early": False})
    if name in FORWARD:
        with pytest.raises(InvalidArgument, match="strict_custom_vjp"):
            call(jaxbp.Options(strict_custom_vjp=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda: jaxbp.loops("foo"),
        lambda: jaxbp.loops(stack_limit_bytes=-1),
        lambda: jaxbp.loops(stack_limit_bytes="1 GiB"),
        lambda: jaxbp.association(3),
        lambda: jaxbp.foreign("torch"),
        lambda: jaxbp.Options(strict_custom_vjp="yes"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_said(call):
    with pytest.raises(InvalidArgument, match="must be"):
        call()


def test_an_unknown_option():
    with pytest.raises(UnknownName, match="Did you mean `scan_residuals`"):
        jaxbp.options(scan_residual="stack")


def test_options_join_those_in_force():
    with jaxbp.options(scan_residuals="stack"), jaxbp.association(False):
        inner = settings.current()
    assert (inner.scan_residuals, inner.sums_early) == ("stack", False)


def test_an_unknown_field_is_named():
    with pytest.raises(UnknownName, match="no option is called `sums_erly`. Did you"):
        jaxbp.Options(sums_erly=False)
