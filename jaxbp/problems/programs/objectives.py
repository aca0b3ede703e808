"""Objectives: ADBench's four, a determinant, a Gaussian process, an FFT filter.

Source: ADBench, arXiv:1807.10129, for gmm, bundle adjustment, lse and kmeans.
"""

import jax
import jax.numpy as jnp
import numpy as np


def gaussian_mixture(params, points):
    """Log-likelihood of points under a mixture with full precision factors."""
    alphas, means, factors = params["alphas"], params["means"], params["factors"]
    centred = points[:, None, :] - means[None]  # (n, k, d)
    whitened = jnp.einsum("kij,nkj->nki", jnp.tril(factors), centred)
    log_diagonal = jnp.diagonal(factors, axis1=1, axis2=2)  # (k, d)
    scale = jnp.log(jnp.abs(log_diagonal)).sum(1)
    terms = (alphas + scale)[None] - 0.5 * (whitened**2).sum(-1)  # (n, k)
    likelihood = jax.nn.logsumexp(terms, axis=1).sum()
    return likelihood - points.shape[0] * jax.nn.logsumexp(alphas)


def mixture_args(draw, *, points, clusters, d):
    eye = np.eye(d, dtype=draw.dtype)
    params = {
        "alphas": draw.normal(clusters),
        "means": draw.normal(clusters, d, scale=1),
        "factors": draw.normal(clusters, d, d, scale=0.1) + eye,
    }
    return params, draw.normal(points, d, scale=1)


def rotated(axis_angle, point):
    """A point turned about an axis by the length of that axis (Rodrigues)."""
    angle = jnp.sqrt(jnp.sum(axis_angle**2) + 1e-12)
    axis = axis_angle / angle
    along = axis * (axis @ point) * (1 - jnp.cos(angle))
    return point * jnp.cos(angle) + jnp.cross(axis, point) * jnp.sin(angle) + along


def projected(camera, point):
    """Pixel of a point through a camera of 11 numbers with radial distortion."""
    seen = rotated(camera[:3], point - camera[3:6])
    image = seen[:2] / seen[2]
    square = image @ image
    distortion = 1 + camera[9] * square + camera[10] * square**2
    return camera[6] * distortion * image + camera[7:9]


def bundle_adjustment(params, seen_by, seen, pixels):
    """Half the squared reprojection error of all observations."""
    cameras, points = params["cameras"][seen_by], params["points"][seen]
    error = jax.vmap(projected)(cameras, points) - pixels  # (observations, 2)
    return 0.5 * jnp.sum((params["weights"][:, None] * error) ** 2)


def bundle_args(draw, *, cameras, points, observations):
    params = {
        "cameras": draw.normal(cameras, 11, scale=0.1),
        "points": draw.normal(points, 3, scale=1)
        + np.asarray([0, 0, 6], draw.dtype)[None],
        "weights": draw.uniform(observations),
    }
    seen_by = draw.integers(cameras, observations)
    seen = draw.integers(points, observations)
    return params, seen_by, seen, draw.normal(observations, 2, scale=1)


def log_sum_exp(x):
    """log sum exp of one long vector."""
    return jax.nn.logsumexp(x)


def log_sum_exp_args(draw, *, n):
    return (draw.normal(n, scale=1),)


def kmeans_cost(centres, points):
    """Sum over points of the squared distance to the nearest centre."""
    distances = ((points[:, None, :] - centres[None]) ** 2).sum(-1)  # (n, k)
    return distances.min(1).sum()


def kmeans_args(draw, *, points, clusters, d):
    return draw.normal(clusters, d, scale=1), draw.normal(points, d, scale=1)


def determinant(a):
    """Laplace's expansion along the first row, recursively: n! products."""
    if a.shape[0] == 1:
        return a[0, 0]
    minors = (
        determinant(jnp.concatenate([a[1:, :j], a[1:, j + 1 :]], axis=1))
        for j in range(a.shape[0])
    )
    return sum((-1) ** j * a[0, j] * minor for j, minor in enumerate(minors))


def determinant_args(draw, *, n):
    return (draw.normal(n, n, scale=1),)


def cholesky_likelihood(params, inputs, values):
    """Negative log marginal likelihood of a Gaussian process, RBF kernel."""
    scaled = inputs * jnp.exp(-params["log_length"])
    squares = ((scaled[:, None, :] - scaled[None]) ** 2).sum(-1)  # (n, n)
    noise = jnp.exp(params["log_noise"]) * jnp.eye(len(values), dtype=values.dtype)
    factor = jnp.linalg.cholesky(jnp.exp(params["log_size"] - 0.5 * squares) + noise)
    white = jax.scipy.linalg.solve_triangular(factor, values, lower=True)
    return 0.5 * white @ white + jnp.log(jnp.diagonal(factor)).sum()


def cholesky_args(draw, *, points, d):
    names = ("log_length", "log_size", "log_noise")
    params = {name: np.asarray(0, draw.dtype) for name in names}
    return params, draw.normal(points, d, scale=1), draw.normal(points, scale=1)


def fft_convolution(kernel, signals, targets):
    """Circular convolution by FFT under mean squared error."""
    length = signals.shape[-1]
    spectrum = jnp.fft.rfft(signals) * jnp.fft.rfft(kernel, length)[None]
    return jnp.mean((jnp.fft.irfft(spectrum, length) - targets) ** 2)


def fft_args(draw, *, batch, length):
    signals, targets = (draw.normal(batch, length, scale=1) for _ in range(2))
    return draw.normal(length // 8, scale=1), signals, targets
