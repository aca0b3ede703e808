"""Two-dimensional convolution on images (batch, height, width, channels)."""

from jax import lax

from jaxbp.layers.base import Layer, batch_sum, check_size, lift, make_layer
from jaxbp.layers.initial import Initialiser, he, zeros
from jaxbp.layers.window import Padding, check_padding, pair, slide


# Along one axis, with kernel size k, stride s, border (low, high), sizes n -> m:
#   y[i] = sum_h x[i s + h - low] W[h] + b.
# x_bar[p] = sum over i s + h - low = p of y_bar[i] W[h]. With y_bar dilated by s,
# d[i s] = y_bar[i], and j = k - 1 - h it is sum_j d[p + low - k + 1 + j] W[k - 1 - j],
#   a convolution at stride 1 with the reversed kernel, its in- and outputs swapped,
#   and the border (k - 1 - low, n + low - 1 - (m - 1) s), negative where it crops.
# W_bar[h] = sum_i x[i s + h - low] y_bar[i]:
#   a convolution of x whose kernel is y_bar dilated by s, summed over the batch instead
#   of the channels, with k places, so the border is (low, (m - 1) s + k - low - n).
# b_bar = sum y_bar over batch and places. Kept: x.
def conv2d(
    c_in: int,
    c_out: int,
    window: int | tuple[int, int] = 3,
    *,
    stride: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    weights: Initialiser = he,
    biases: Initialiser | None = zeros,
) -> Layer:
    """Every place's outputs a weighted sum of the window of the image around it.

    Args:
      c_in, c_out: numbers of channels.
      window, stride: (height, width), or one number for both.
      padding: 'SAME' (ceil(size / stride) places), 'VALID' (no border), or
        ((low, high), (low, high)), zeros around the image.
      weights, biases: initialisers; `biases=None` leaves the bias out.

    Returns:
      A layer (N, H, W, c_in) -> (N, H', W', c_out) with parameters
      W (*window, c_in, c_out) and b (c_out,).

    Raises:
      InvalidArgument: a size, the stride or the padding is not as stated.
      ShapeMismatch (when called): the window is larger than the image.

    Cost: 2 c_in c_out window flops a place forward, twice that backward; keeps x.
    """
    check_size("conv2d", c_in=c_in, c_out=c_out)
    window = pair("conv2d", "window", window)
    stride = pair("conv2d", "stride", stride)
    check_padding("conv2d", padding)
    spec: dict = {"W": ((*window, c_in, c_out), weights)}
    if biases is not None:
        spec["b"] = ((c_out,), biases)

    def axes_of(x):
        return slide("conv2d", x.shape[1:3], window, stride, padding)

    def forward(params, x):
        y = lax.conv_general_dilated(
            x,
            params["W"],
            stride,
            [(axis.low, axis.high) for axis in axes_of(x)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        if biases is not None:
            y = y + lift(params["b"], 4)
        return y, (x,)

    def backward(params, residuals, y_bar):
        (x,) = residuals
        axes = axes_of(x)
        params_bar = {"W": _kernel_bar(axes, x, y_bar)}
        if biases is not None:
            params_bar["b"] = batch_sum(y_bar)
        return params_bar, _image_bar(axes, params["W"], y_bar)

    return make_layer(
        "conv2d", spec, forward, backward, trailing=("height", "width", c_in), rank=4
    )


def _image_bar(axes, kernel, y_bar):
    border = [
        (a.window - 1 - a.low, a.size + a.low - 1 - (a.places - 1) * a.stride)
        for a in axes
    ]
    return lax.conv_general_dilated(
        y_bar,
        kernel[::-1, ::-1],
        (1, 1),
        border,
        lhs_dilation=[a.stride for a in axes],
        dimension_numbers=("NHWC", "HWOI", "NHWC"),
    )


def _kernel_bar(axes, x, y_bar):
    border = [
        (a.low, (a.places - 1) * a.stride + a.window - a.low - a.size) for a in axes
    ]
    return lax.conv_general_dilated(
        x,
        y_bar,
        (1, 1),
        border,
        rhs_dilation=[a.stride for a in axes],
        dimension_numbers=("CHWN", "IHWO", "HWNC"),
    )
