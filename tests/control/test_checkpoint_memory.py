"""A checkpointed program dies with its last user, whatever rules it holds."""

import gc
import weakref

import jax
import jax.numpy as jnp

import jaxbp


@jax.custom_vjp
def sine(x):
    return jnp.sin(x)


sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, y_bar: (y_bar * jnp.cos(x),))


def test_with_a_custom_rule():
    program = jax.make_jaxpr(jax.checkpoint(lambda x: 2 * sine(x)))(jnp.ones(2))
    (call,) = program.eqns
    alive = weakref.ref(call.params["jaxpr"])

    def loss(x):
        return jnp.sum(jax.core.eval_jaxpr(program.jaxpr, program.consts, x)[0])

    jaxbp.grad(loss)(jnp.ones(2))
    jax.jit(jaxbp.grad(loss))(jnp.ones(2))
    del program, call, loss
    gc.collect()
    jax.clear_caches()
    gc.collect()
    assert alive() is None
