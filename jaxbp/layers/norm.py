"""Layer normalisation over the features."""

from jax import lax

from jaxbp.errors import InvalidArgument
from jaxbp.layers.base import Layer, batch_sum, check_size, lift, make_layer
from jaxbp.layers.initial import ones, zeros


# Per row of n features, with r = (var x + eps)^(-1/2):
#   u = (x - mean x) r,   y = u scale + bias.
# Let u_bar = y_bar scale. Through the numerator u_bar r, through the mean its mean is
# taken off; through r, dr = -r^3 mean((x - mean x) dx) = -r^2 mean(u dx), so that
#   x_bar = r (u_bar - mean u_bar - u mean(u u_bar)),
#   scale_bar = sum u y_bar,   bias_bar = sum y_bar   over the rows.
# Kept: u, and r (one number a row). Source: Ba et al. 2016, arXiv:1607.06450.
def layer_norm(n: int, *, eps: float = 1e-5) -> Layer:
    """Each row shifted to mean 0 and scaled to variance 1, then scale and bias.

    Args:
      n: number of features.
      eps: added to the variance, positive.

    Returns:
      A layer (..., n) -> (..., n) with parameters scale (n,) and bias (n,).

    Raises:
      InvalidArgument: n is not a positive integer, or eps not positive.
    """
    check_size("layer_norm", n=n)
    if not eps > 0:
        raise InvalidArgument(f"`eps` of layer_norm must be positive, but is {eps!r}.")

    def forward(params, x):
        centred = x - x.mean(-1, keepdims=True)
        r = lax.rsqrt((centred * centred).mean(-1, keepdims=True) + eps)  # (..., 1)
        u = centred * r
        y = u * lift(params["scale"], x.ndim) + lift(params["bias"], x.ndim)
        return y, (u, r)

    def backward(params, residuals, y_bar):
        u, r = residuals
        u_bar = y_bar * lift(params["scale"], u.ndim)
        shift = u_bar.mean(-1, keepdims=True)
        stretch = (u * u_bar).mean(-1, keepdims=True)
        params_bar = {"scale": batch_sum(u * y_bar), "bias": batch_sum(y_bar)}
        return params_bar, r * (u_bar - shift - u * stretch)

    spec = {"scale": ((n,), ones), "bias": ((n,), zeros)}
    return make_layer("layer_norm", spec, forward, backward, trailing=(n,))
