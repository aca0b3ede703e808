"""Kernels that a run starts, from XLA's text."""

import jax
import jax.numpy as jnp

from jaxbp.transforms.dispatched import kernels_started

TEXT = """HloModule jit_f

%body.1 (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]{0}) parameter(0)
  %x = f32[4]{0} get-tuple-element(%p), index=1
  %y = f32[4]{0} fusion(%x), kind=kLoop, calls=%fused
  %z = f32[4]{0} fusion(%y), kind=kLoop, calls=%fused
  ROOT %t = (s32[], f32[4]{0}) tuple(%x, %z)
}

%ends.1 (p: (s32[], f32[4])) -> pred[] {
  %p = (s32[], f32[4]{0}) parameter(0)
  ROOT %less = pred[] fusion(%p), kind=kLoop, calls=%fused
}

%whole (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]{0}) parameter(0)
  ROOT %w = (s32[], f32[4]{0}) while(%p), condition=%ends.1, body=%body.1, LENGTH
}

ENTRY %main.3 (a: (s32[], f32[4])) -> f32[4] {
  %a = (s32[], f32[4]{0}) parameter(0)
  %l = (s32[], f32[4]{0}) while(%a), condition=%ends.1, body=%body.1, LENGTH
  %c = (s32[], f32[4]{0}) call(%l), to_apply=%whole, MARK
  %r = f32[4]{0} get-tuple-element(%c), index=1
  ROOT %s = f32[4]{0} fusion(%r), kind=kLoop, calls=%fused
}
"""
LENGTH = 'backend_config={"known_trip_count":{"n":"5"}}'
MARK = 'frontend_attributes={xla_cpu_small_call="true"}'


def test_loops_count_each_time_and_small_ones_as_one():
    known = TEXT.replace("LENGTH", LENGTH)
    assert kernels_started(known) == 15 + 15 + 1
    assert kernels_started(known.replace("MARK", MARK)) == 15 + 1 + 1
    assert kernels_started(TEXT) == 3 + 3 + 1
    assert kernels_started("") == 0


def test_kernels_that_call_a_library_count_more():
    text = TEXT.replace("LENGTH", LENGTH).replace("kind=kLoop", "kind=kCustom", 1)
    assert kernels_started(text, 16) == 31 + 2 * 5 * 15


def test_of_compiled_programs():
    def looped(x):
        return jax.lax.fori_loop(0, 100, lambda i, v: jnp.sort(v) * 2, x)

    text = jax.jit(looped).lower(jnp.ones(4096)).compile().as_text()
    assert kernels_started(text) >= 100
    text = jax.jit(jnp.sin).lower(1.0).compile().as_text()
    assert kernels_started(text) == 1
