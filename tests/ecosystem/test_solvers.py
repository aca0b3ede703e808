"""Diffrax, Optimistix and Lineax: solvers with derivatives of their own.

Their primitives have JAX's rules alone, which `jaxbp.foreign("jax")` lets in.
"""

import jax
import jax.numpy as jnp
import pytest

import jaxbp
from tests.transforms.standin import same_values

WHY = "needs the ecosystem: pip install .[ecosystem]"
diffrax = pytest.importorskip("diffrax", reason=WHY)
optx = pytest.importorskip("optimistix", reason=WHY)
lx = pytest.importorskip("lineax", reason=WHY)

THREE = jnp.array([0.3, 0.2, 0.7])
MATRIX = jnp.array([[3.0, 0.2, -0.4], [0.1, 2.0, 0.3], [0.5, -0.2, 4.0]])
ADAPTIVE = diffrax.PIDController(rtol=1e-5, atol=1e-5)


def prey(t, y, rates):
    grow, eat, die, feed = rates
    return jnp.stack([grow * y[0] - eat * y[0] * y[1], feed * y[1] * y[0] - die * y[1]])


def solved(solver, adjoint):
    def loss(rates):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(prey),
            solver,
            0.0,
            2.0,
            0.1,
            jnp.array([10.0, 5.0]),
            args=rates,
            adjoint=adjoint,
            saveat=diffrax.SaveAt(ts=jnp.linspace(0, 2, 4)),
            stepsize_controller=ADAPTIVE,
            max_steps=64,
        )
        return jnp.sum(solution.ys**2)

    return loss, jnp.array([1.1, 0.4, 0.4, 0.1])


def root(w):
    solver = optx.Newton(rtol=1e-10, atol=1e-10)
    found = optx.root_find(
        lambda y, w: w @ jnp.tanh(y) - 5 * y + 1, solver, THREE, args=w
    )
    return jnp.sum(found.value**2)


def fixed_point(a):
    solver = optx.FixedPointIteration(rtol=1e-10, atol=1e-10)
    found = optx.fixed_point(lambda y, a: jnp.tanh(a * y) / 2 + a, solver, THREE, a)
    return jnp.sum(found.value**2)


def minimum(a):
    def bowl(y, a):
        return jnp.sum((y - a) ** 2 * jnp.arange(1, 4)) + jnp.sum(y**4) / 10

    found = optx.minimise(bowl, optx.BFGS(rtol=1e-8, atol=1e-8), THREE, args=a)
    return jnp.sum(found.value**2)


def conjugate_gradients(a):
    operator = lx.MatrixLinearOperator(a @ a.T, lx.positive_semidefinite_tag)
    solver = lx.CG(1e-12, 1e-12)
    return jnp.sum(lx.linear_solve(operator, THREE, solver=solver).value ** 2)


def least_squares(a):
    operator = lx.MatrixLinearOperator(a[:, :2])
    return jnp.sum(lx.linear_solve(operator, THREE, solver=lx.QR()).value ** 2)


PROGRAMS = {
    "checkpointed": solved(diffrax.Tsit5(), diffrax.RecursiveCheckpointAdjoint()),
    "direct": solved(diffrax.Dopri5(), diffrax.DirectAdjoint()),
    "implicit": solved(diffrax.Kvaerno3(), diffrax.RecursiveCheckpointAdjoint()),
    "root": (root, MATRIX),
    "fixed point": (fixed_point, THREE),
    "minimum": (minimum, THREE),
    "conjugate gradients": (conjugate_gradients, MATRIX),
    "least squares": (least_squares, MATRIX),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients(name):
    loss, x = PROGRAMS[name]
    expected = jax.jit(jax.grad(loss))(x)
    with jaxbp.foreign("jax"):
        same_values(jax.jit(jaxbp.grad(loss))(x), expected)
        same_values(jaxbp.grad(loss)(x), expected)


def test_second_order():
    with jaxbp.foreign("jax"):
        found = jax.jit(jaxbp.hessian(fixed_point))(THREE)
    same_values(found, jax.jit(jax.hessian(fixed_point))(THREE))
