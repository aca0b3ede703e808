"""The dense layer: y = x W + b."""

from jaxbp.layers.base import Layer, batch_sum, check_size, lift, make_layer, outer_sum
from jaxbp.layers.initial import Initialiser, xavier, zeros


# y = x W + b, for each row of the batch. From dL = <y_bar, dx W + x dW + db>:
#   x_bar = y_bar W^T,   W_bar = sum x^T y_bar,   b_bar = sum y_bar,
# the sums over the batch. Kept: x.
def dense(
    n_in: int,
    n_out: int,
    *,
    weights: Initialiser = xavier,
    biases: Initialiser | None = zeros,
) -> Layer:
    """Every output a weighted sum of every input.

    Args:
      n_in, n_out: numbers of input and output features, at least 1.
      weights, biases: initialisers; `biases=None` leaves the bias out.

    Returns:
      A layer (..., n_in) float -> (..., n_out) float with parameters
      W (n_in, n_out) and, unless left out, b (n_out,).

    Raises:
      InvalidArgument: a size is not a positive integer.

    Cost: 2 n_in n_out flops a row forward, twice that backward; keeps x.
    """
    check_size("dense", n_in=n_in, n_out=n_out)
    spec: dict = {"W": ((n_in, n_out), weights)}
    if biases is not None:
        spec["b"] = ((n_out,), biases)

    def forward(params, x):
        y = x @ params["W"]
        if biases is not None:
            y = y + lift(params["b"], y.ndim)
        return y, (x,)

    def backward(params, residuals, y_bar):
        (x,) = residuals
        params_bar = {"W": outer_sum(x, y_bar)}
        if biases is not None:
            params_bar["b"] = batch_sum(y_bar)
        return params_bar, y_bar @ params["W"].T

    return make_layer("dense", spec, forward, backward, trailing=(n_in,))
