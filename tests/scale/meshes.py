"""Losses of 200 steps on meshes beside one device's: `python -m tests.scale.meshes`.

Three gradients, three layouts, meshes of 1, 2, 4x2 and 8 forced host devices, both
float types; with `few` one mesh of eight and one layout each. Prints the largest
relative difference of each, and fails where one is too large.
"""

import itertools
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

import jaxbp  # noqa: E402
from jaxbp import layers, scale  # noqa: E402
from jaxbp.training import fit  # noqa: E402

LIMITS = {"float32": 1e-5, "float64": 1e-12}
MESHES = ("data=1,model=1", "data=2,model=1", "data=4,model=2", "data=8,model=1")
FEW = {
    "layers": (MESHES[3], "full"),
    "engine": (MESHES[2], "tensor"),
    "jax": (MESHES[3], "data"),
}
EPOCHS, EXAMPLES, BATCH = 50, 61, 16  # 3 full batches and a rest: 200 steps
WHOLE = 64  # examples: 4 full batches
MODEL = layers.mlp([8, 16, 16, 4], activation="tanh")
LOSS = layers.softmax_cross_entropy
OPTIMIZER = optax.adam(1e-3)
GRADIENTS = {
    "layers": layers.value_and_grad(MODEL, LOSS),
    "engine": jaxbp.value_and_grad(layers.loss_fn(MODEL, LOSS)),
    "jax": jax.value_and_grad(layers.loss_fn(MODEL, LOSS)),
}
LAYOUTS = {
    "data": lambda params, mesh: None,
    "tensor": lambda params, mesh: scale.tensor_sharded(params, mesh, "model"),
    "full": lambda params, mesh: scale.fully_sharded(params, mesh, "data", 1),
}


def problem(dtype, examples):
    """Parameters and data, on the host."""
    params = MODEL.init(jax.random.key(3), jnp.dtype(dtype))
    inputs = np.asarray(jax.random.normal(jax.random.key(4), (examples, 8), dtype))
    return jax.device_get(params), (inputs, np.arange(examples) % 4)


def losses(gradient, dtype, mesh=None, layout="data", examples=EXAMPLES):
    """The loss of every step, and the parameters in the end."""
    params, data = problem(dtype, examples)
    specs = None if mesh is None else LAYOUTS[layout](params, mesh)
    done = fit(
        GRADIENTS[gradient], params, data, optimizer=OPTIMIZER, epochs=EPOCHS,
        batch_size=BATCH, key=5, mesh=mesh, param_specs=specs,
        validation=data if examples == EXAMPLES else None,
    )  # fmt: skip
    assert done.history["step_loss"].shape == (200,)
    return done


def compare(gradient, dtype, words, layout, expected, examples=EXAMPLES):
    """The largest relative difference of a loss; raises where it is too large."""
    mesh = scale.make_mesh(words)
    done = losses(gradient, dtype, mesh, layout, examples)
    found, wanted = done.history["step_loss"], expected.history["step_loss"]
    error = float(np.max(np.abs(found - wanted) / np.abs(wanted)))
    print(f"{gradient:7} {dtype} {words:16} {layout:7} {error:.1e}", flush=True)
    assert error <= LIMITS[dtype], "too far from one device's losses"
    for name in {"validation_loss"} & set(expected.history):
        columns = done.history[name], expected.history[name]
        assert np.allclose(*columns, rtol=10 * LIMITS[dtype])
    check_placed(done.params, mesh, layout)


def check_placed(params, mesh, layout):
    """Every device holds its part only."""
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    first = mesh.devices.flat[0]
    held = sum(
        shard.data.nbytes
        for leaf in jax.tree.leaves(params)
        for shard in leaf.addressable_shards
        if shard.device == first
    )
    axis = {"tensor": "model", "full": "data"}.get(layout)
    parts = mesh.shape[axis] if axis else 1
    assert whole / parts <= held <= whole / parts + 0.2 * whole, (held, whole, parts)


def main():
    """All of it."""
    for dtype, gradient in itertools.product(LIMITS, GRADIENTS):
        with jax.enable_x64(dtype == "float64"):
            expected = losses(gradient, dtype)
            for words, layout in itertools.product(MESHES, LAYOUTS):
                compare(gradient, dtype, words, layout, expected)


def few():
    """A mesh and a layout for each gradient."""
    jax.config.update("jax_disable_most_optimizations", True)  # compiled once, run once
    with jax.enable_x64(True):
        # whole batches, no validation: less to compile; on one device the three agree
        expected = losses("jax", "float64", examples=WHOLE)
        for gradient, (words, layout) in FEW.items():
            compare(gradient, "float64", words, layout, expected, WHOLE)


if __name__ == "__main__":
    few() if "few" in sys.argv[1:] else main()
