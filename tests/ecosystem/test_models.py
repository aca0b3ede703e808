"""Models of libraries that are built on JAX: NumPyro, tinygp, Haiku."""

import jax
import jax.numpy as jnp
import pytest

from tests.ecosystem.agreement import agree

WHY = "needs the ecosystem: pip install .[ecosystem]"
KEY = jax.random.key(0)
X = jax.random.normal(KEY, (12, 3))


def test_numpyro_evidence_lower_bound():
    numpyro = pytest.importorskip("numpyro", reason=WHY)
    infer = pytest.importorskip("numpyro.infer")
    guides = pytest.importorskip("numpyro.infer.autoguide")
    dist = numpyro.distributions

    def model(x, y):
        w = numpyro.sample("w", dist.Normal(jnp.zeros(3), 1).to_event(1))
        scale = numpyro.sample("scale", dist.Gamma(2.0, 2.0))
        numpyro.sample("y", dist.StudentT(4.0, x @ w, scale), obs=y)

    guide = guides.AutoMultivariateNormal(model)
    bound = infer.Trace_ELBO()
    svi = infer.SVI(model, guide, numpyro.optim.Adam(0.1), bound)
    y = X @ jnp.array([1.0, -1.0, 0.5])
    params = svi.get_params(svi.init(KEY, X, y))
    agree(lambda p: bound.loss(KEY, p, model, guide, X, y), params)


def test_tinygp_likelihood():
    tinygp = pytest.importorskip("tinygp", reason=WHY)
    quasisep = pytest.importorskip("tinygp.kernels.quasisep")
    at = jnp.sort(X[:, 0])

    def dense(p):
        kernel = jnp.exp(p[0]) * tinygp.kernels.Matern52(jnp.exp(p[1]))
        process = tinygp.GaussianProcess(kernel, at, diag=jnp.exp(p[2]))
        return process.log_probability(jnp.sin(at))

    def states(p):
        kernel = quasisep.SHO(omega=jnp.exp(p[0]), quality=jnp.exp(p[1]))
        process = tinygp.GaussianProcess(kernel, at, diag=jnp.exp(p[2]))
        return process.log_probability(jnp.sin(at))

    agree(lambda p: dense(p) + states(p), jnp.array([0.1, 0.2, -1.0]))


def test_haiku_modules():
    hk = pytest.importorskip("haiku", reason=WHY)

    def net(x):
        core = hk.LSTM(4)
        seen, _ = hk.dynamic_unroll(core, x, core.initial_state(2))
        start = hk.initializers.VarianceScaling()
        mixed = hk.MultiHeadAttention(2, 4, w_init=start)(seen, seen, seen)
        normal = hk.LayerNorm(-1, create_scale=True, create_offset=True)(mixed)
        return hk.nets.MLP([5, 1])(hk.dropout(hk.next_rng_key(), 0.2, normal))

    x = X.reshape(6, 2, 3)
    whole = hk.transform(net)
    params = whole.init(KEY, x)
    agree(lambda p: whole.apply(p, KEY, x), params)
