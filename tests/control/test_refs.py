"""Mutable arrays (`jax.new_ref`): reads, writes, and refs through inner programs.

Beside JAX where it can: in some releases its reverse mode fails over refs of integers
and in the second reverse order; there a program without refs stands in.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxbp
from jaxbp.errors import InvalidArgument, NotOffered

X = jnp.array([0.7, -0.4, 1.3])


def rewritten(x):
    ref = jax.new_ref(x)
    ref[...] = jnp.sin(ref[...]) * ref[...]
    ref[1] = ref[0] * ref[2]
    old = ref[0]
    ref[0] = 3.0 * old * ref[1]
    ref[1:3] += ref[0:2] ** 2
    return jnp.sum(jax.freeze(ref) ** 2)


def accumulated(x):
    total, found = jax.new_ref(jnp.zeros(())), jax.new_ref(0 * x)
    for i in range(3):
        total[...] += jnp.sin(x[i]) * total[...] + x[i]
    found[jnp.argmax(x)] = x[0] * total[...]
    found[:2] = x[1:]
    return jnp.sum(found[...] * x) + total[...] ** 2


def exchanged(x):
    ref = jax.new_ref(x)
    jax.ref.addupdate(ref, 1, x[0] ** 2)
    jax.ref.addupdate(ref, 2, 3.0)
    old = jax.ref.swap(ref, 2, x[1])
    return jnp.sum(ref[jnp.array([0, 2, 2])] ** 2) * old * ref[1]


def through_jit(x):
    ref = jax.new_ref(x)

    @jax.jit
    def argument(ref, y):
        ref[0] = y * ref[1]
        return ref[2] * y

    @jax.jit
    def closed_over(y):
        ref[1] = jnp.sin(y) * ref[0]
        return ref[1]

    @jax.jit
    def local(y):
        own = jax.empty_ref(jax.typeof(y))
        own[...] = y * y
        squares = own[...]
        jax.free_ref(own)
        return jnp.sum(squares)

    return local(x) + argument(ref, x[0]) + closed_over(x[1]) + jnp.sum(ref[...] ** 2)


def through_scan(x):
    ref = jax.new_ref(jnp.zeros(()))

    def step(carry, element):
        ref[...] += jnp.sin(carry) * element
        own = jax.new_ref(carry)
        own[...] = own[...] * element
        return own[...], ref[...]

    carry, sums = lax.scan(step, 1.0, x)
    return carry + ref[...] ** 2 + jnp.sum(sums**2)


def through_cond(x):
    ref = jax.new_ref(x)

    def write(y):
        ref[0] = y * y
        return ref[1]

    chosen = lax.cond(x[0] > 0, write, jnp.sin, x[1])
    chosen += lax.cond(x[0] < 0, write, jnp.sin, x[1])
    return chosen + jnp.sum(ref[...] ** 2)


def through_loops(x):
    ref = jax.new_ref(x)

    def step(i, carry):
        ref[i] = jnp.sin(ref[i]) * x[0]
        return carry

    lax.fori_loop(0, 3, step, 0)

    @jax.vmap
    def each(y):
        own = jax.new_ref(y)
        own[...] = own[...] ** 2
        return own[...] * y

    @jax.checkpoint
    def again(y):
        own = jax.new_ref(y)
        own[...] = jnp.sin(own[...]) ** 2
        return jax.freeze(own) * y

    return jnp.sum(ref[...] ** 2) + jnp.sum(each(x) * again(x))


PROGRAMS = {
    f.__name__: f
    for f in (
        rewritten, accumulated, exchanged, through_jit, through_scan, through_cond,
        through_loops,
    )
}  # fmt: skip


def derivatives(system, f):
    def found(x):
        gradient, pushed = system.value_and_grad(f), system.jvp(f, (x,), (x * x,))
        return gradient(x), pushed, system.jvp(system.grad(f), (x,), (x * x,))

    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_in_jax(name):
    f = PROGRAMS[name]
    both = jax.jit(lambda x: [derivatives(s, f)(x) for s in (jaxbp, jax)])
    found, expected = map(jax.tree.leaves, both(X))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(jaxbp.grad(f)(X), found[1], rtol=1e-11)


def test_a_while_loop_writes_in_forward_mode():
    def f(x):
        ref = jax.new_ref(x)

        def step(i):
            ref[i] = jnp.sin(ref[i]) * x[0]
            return i + 1

        lax.while_loop(lambda i: i < 3, step, 0)
        return ref[...]

    found, expected = (s.jvp(f, (X,), (X * X,)) for s in (jaxbp, jax))
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def with_refs(x):
    ref, count = jax.new_ref(jnp.zeros(3)), jax.new_ref(jnp.zeros((), int))

    def step(carry, element):
        count[...] += 1
        ref[count[...] - 1] = carry * element
        return carry, count[...].astype(float)

    _, counts = lax.scan(step, x[0], x)
    ref[1:] *= x[1:]
    return ref[...] * counts


def without(x):
    return x[0] * x * jnp.concatenate([jnp.ones(1), x[1:]]) * jnp.arange(1.0, 4.0)


def test_higher_orders_batches_and_integers():
    def found(system, f):
        def curved(x):
            return jnp.sum(system.grad(lambda x: f(x)[1])(x) ** 3)

        by_case = jax.vmap(system.grad(lambda x: jnp.sum(f(x))))(jnp.stack([X, 2 * X]))
        return system.jacrev(f)(X), by_case, jaxbp.grad(curved)(X)

    pairs = zip(found(jaxbp, with_refs), found(jax, without), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_ref_from_outside_takes_no_tangent():
    outside = jax.new_ref(jnp.ones(3))

    def write(x):
        outside[0] = x[0]
        return x[0]

    assert jaxbp.grad(lambda x: jnp.sum(outside[...] * x))(X).tolist() == [1, 1, 1]
    with pytest.raises(InvalidArgument, match=r"made outside .*test_refs.py:\d+"):
        jaxbp.grad(write)(X)


def test_a_condition_that_reads_a_ref():
    def f(x):
        ref = jax.new_ref(x)

        def step(carry):
            ref[0] *= 0.5
            return carry

        lax.while_loop(lambda _: ref[0] > 0.1, step, 0)
        return ref[0]

    with pytest.raises(NotOffered, match="condition of a while loop reads a ref"):
        jaxbp.jvp(f, (X,), (X,))
