"""State of a mesh resumed on another, SIGTERM, and options that do not fit."""

import importlib.util
import os
import signal

import jax
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as Spec

from jaxbp import scale
from jaxbp.errors import DataError, InvalidArgument, ShapeMismatch, StructureMismatch
from jaxbp.scale import orbax
from jaxbp.scale.signals import Terminated
from jaxbp.training import fit
from tests.training.problem import make, measure, value_and_grad

HAS_ORBAX = importlib.util.find_spec("orbax") is not None
needs_orbax = pytest.mark.skipif(
    not HAS_ORBAX, reason="orbax-checkpoint is not installed: the extra `scale` has it"
)
OPTIMIZER = optax.adam(1e-2)
SPECS = {"W1": Spec("data"), "W2": Spec(), "b1": Spec()}


@pytest.fixture(autouse=True)
def devices():
    if jax.device_count() < 4:
        pytest.skip("needs four devices; XLA_FLAGS in conftest.py makes them on a CPU")


def run(epochs, words=None, specs=None, **options):
    params, data = make(count=20)
    options = dict(validation=data, metrics=measure) | options
    return fit(
        value_and_grad, params, data, optimizer=OPTIMIZER, epochs=epochs, batch_size=4,
        mesh=words and scale.make_mesh(words), param_specs=specs, progress=False,
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected():
    return run(6).history


@pytest.mark.parametrize(
    "name", ["state.safetensors", pytest.param("state", marks=needs_orbax)]
)
def test_resumed_on_another_mesh(tmp_path, name, expected):
    path = tmp_path / name
    run(3, "data=2", SPECS, state_path=path)
    if name == "state":  # a save that was cut off is not seen
        (path / "7.orbax-checkpoint-tmp").mkdir()
    done = run(6, "data=4", state_path=path, resume=True)
    for column, values in expected.items():
        np.testing.assert_allclose(done.history[column], values, rtol=1e-12)
    if name == "state":  # a folder of a mesh, read by one device
        found = run(6, state_path=path, resume=True)
        np.testing.assert_array_equal(found.history["loss"], done.history["loss"])


@needs_orbax
def test_folders_that_do_not_fit(tmp_path):
    path = tmp_path / "state"
    mesh = scale.make_mesh("data=2")
    x = jax.device_put(np.ones(4), scale.Layout(mesh, "data", ()).sharding())
    orbax.write_folder(path, {"x": x}, {"a": 1})
    assert orbax.read_about(path) == {"a": 1}
    like = jax.ShapeDtypeStruct((4,), x.dtype, sharding=x.sharding)
    np.testing.assert_array_equal(orbax.read_folder(path, {"x": like})["x"], x)
    with pytest.raises(StructureMismatch, match="leaf `y`"):
        orbax.read_folder(path, {"x": like, "y": like})
    other = jax.ShapeDtypeStruct((5,), x.dtype, sharding=x.sharding)
    with pytest.raises(ShapeMismatch, match=r"shape \(5,\) but has \(4,\)"):
        orbax.read_folder(path, {"x": other})
    (tmp_path / "empty").mkdir()
    assert not orbax.has_state(tmp_path / "empty")
    with pytest.raises(DataError, match="no complete state"):
        orbax.read_about(tmp_path / "empty")


def test_without_orbax_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "orbax.checkpoint", None)
    with pytest.raises(InvalidArgument, match=r"jaxbp\[scale\]"):
        run(1, "data=2", state_path=tmp_path / "state")


def test_sigterm_saves_and_leaves(tmp_path):
    path = tmp_path / "state.safetensors"

    def at_two(state, record):
        if int(state.epoch) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated) as stopped:
        run(50, callback=at_two, state_path=path)
    assert stopped.value.code == 143 and "after epoch 2" in stopped.value.saved
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert int(run(2, state_path=path, resume=True).state.epoch) == 2


def test_what_a_mesh_refuses():
    with pytest.raises(InvalidArgument, match="needs the mesh"):
        run(1, specs=SPECS)
    with pytest.raises(InvalidArgument, match="axis `rows`"):
        run(1, "data=2", data_axis="rows")
    with pytest.raises(InvalidArgument, match="multiple of the 3 devices"):
        run(1, "data=3")
