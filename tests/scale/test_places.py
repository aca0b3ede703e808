"""Meshes from words, specs of parameters, where a launcher put a process."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxbp import scale
from jaxbp.errors import InvalidArgument, StructureMismatch
from jaxbp.scale.at_use import gathered_at_use
from jaxbp.scale.launched import is_launched

Spec = PartitionSpec


@pytest.fixture
def mesh():
    if jax.device_count() < 4:
        pytest.skip("needs four devices; XLA_FLAGS in conftest.py makes them on a CPU")
    return scale.make_mesh("data=2,model=2")


def test_a_mesh_from_words(mesh):
    assert dict(mesh.shape) == {"data": 2, "model": 2}
    assert set(mesh.axis_types) == {AxisType.Auto}
    count = jax.device_count()
    assert dict(scale.make_mesh("data=-1").shape) == {"data": count}
    assert dict(scale.make_mesh({"a": 2, "b": -1}).shape) == {"a": 2, "b": count // 2}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("data", "must be axes with their lengths"),
        ("data=x", "must be axes"),
        ("data=2,data=2", "must be axes"),
        ("data=-1,model=-1", "where one length may be -1"),
        ("data=0", "must be axes"),
        ("", "must be axes"),
        ("data=4096", "needs 4096 devices, but there are"),
    ],
)
def test_words_that_are_no_mesh(words, said):
    with pytest.raises(InvalidArgument, match=said):
        scale.make_mesh(words)


PARAMS = {"a": np.zeros((6, 8)), "b": np.zeros(8), "c": np.zeros((3, 5)), "d": 0.0}


def test_the_largest_axis_that_can_be_divided(mesh):
    found = scale.fully_sharded(PARAMS, mesh, min_elements=1)
    assert found == {
        "a": Spec(None, "data"),
        "b": Spec("data"),
        "c": Spec(),
        "d": Spec(),
    }
    assert scale.fully_sharded(PARAMS, mesh, min_elements=10)["b"] == Spec()


def test_products_in_pairs(mesh):
    layers = [
        {"W": np.zeros((4, 6)), "b": np.zeros(6)},
        {"W": np.zeros((6, 3)), "b": np.zeros(3)},
    ]
    first, second = scale.tensor_sharded(layers, mesh)
    assert first == {"W": Spec(None, "model"), "b": Spec("model")}
    assert second == {"W": Spec("model"), "b": Spec()}


def test_a_tree_of_specs_may_end_above_the_leaves(mesh):
    assert scale.spec_tree(PARAMS, None, mesh) == dict.fromkeys(PARAMS, Spec())
    nested = {"x": PARAMS["a"], "y": {"z": PARAMS["a"], "w": PARAMS["b"]}}
    found = scale.spec_tree(nested, {"x": Spec(), "y": Spec("data")}, mesh)
    assert found["y"] == {"z": Spec("data"), "w": Spec("data")}


def but(**specs):
    return dict.fromkeys(PARAMS, Spec()) | specs


@pytest.mark.parametrize(
    ("specs", "error", "said"),
    [
        (but(a=Spec("row")), InvalidArgument, "axis `row`"),
        (but(b=Spec(None, "data")), InvalidArgument, r"params\['b'\]"),
        (but(c=Spec("data")), InvalidArgument, "no multiple of 2"),
        ({"a": Spec()}, StructureMismatch, "tree of PartitionSpec"),
        (but(a="data"), StructureMismatch, "PartitionSpec"),
    ],
)
def test_specs_that_do_not_fit(mesh, specs, error, said):
    with pytest.raises(error, match=said):
        scale.spec_tree(PARAMS, specs, mesh)


def test_arrays_lie_in_parts(mesh):
    layout = scale.Layout.of(mesh, "data", {"a": PARAMS["a"]}, {"a": Spec("data")})
    assert layout.gathers and layout.shards == 2
    (x,) = layout.place_examples((np.arange(10).reshape(5, 2),))
    assert x.shape == (6, 2) and not np.asarray(x)[5].any()
    assert {s.data.shape for s in x.addressable_shards} == {(3, 2)}
    key = layout.place(jax.random.key(3))
    assert (jax.random.key_data(key) == jax.random.key_data(jax.random.key(3))).all()
    with pytest.raises(InvalidArgument, match="multiple of the 2 devices"):
        layout.check_batch(5)


def loss(params, x):
    def layer(h, w):
        return jnp.tanh(h @ w), None

    h, _ = jax.lax.scan(layer, x, params["stack"])
    h = jax.jit(lambda h, w: jax.nn.relu(h @ w))(h, params["last"])
    h = jax.lax.cond(h.sum() > 0, lambda h, w: h @ w, lambda h, w: h, h, params["gain"])
    return jnp.mean(h**2)


def test_gathered_at_each_use_the_values_are_the_same(mesh):
    draw = np.random.default_rng(0).normal
    params = {
        "stack": draw(size=(3, 4, 4)),
        "last": draw(size=(4, 2)),
        "gain": draw(size=(2, 2)),
    }
    specs = {"stack": Spec(None, "data"), "last": Spec("data"), "gain": Spec("data")}
    layout = scale.Layout.of(mesh, "data", params, specs)
    there = {k: layout.place(v, specs[k]) for k, v in params.items()}
    x = draw(size=(8, 4))
    both = jax.value_and_grad(loss)
    found = jax.jit(gathered_at_use(both, layout))(there, x)
    expected = jax.jit(both)(params, x)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    text = str(jax.make_jaxpr(gathered_at_use(both, layout))(there, x))
    assert text.count("sharding_constraint") > 6


SLURM = {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, (0, 1, None)),
        (SLURM | {"SLURM_LOCALID": "1"}, (2, 4, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (0, 1, None)),  # a batch script
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, (3, 4, None)),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2, None)),
        ({"PMI_RANK": "5", "PMI_SIZE": "2"}, (0, 1, None)),
    ],
)  # fmt: skip
def test_a_launchers_environment(environment, place):
    assert scale.launched(environment) == place
    assert is_launched(environment) == (place[1] > 1)


def test_more_launchers_that_jax_asks():
    assert is_launched({"TPU_WORKER_HOSTNAMES": "a,b"})
    assert is_launched({"KUBERNETES_SERVICE_HOST": "x", "JOB_COMPLETION_INDEX": "0"})
    with pytest.raises(InvalidArgument, match="must be numbers"):
        scale.launched({"PMI_RANK": "a", "PMI_SIZE": "2"})


def test_alone_nothing_is_waited_for():
    others = scale.connect()
    assert others == scale.Processes() and others.first
    others.barrier("x")
    assert others.gather(3) == [3]
    with pytest.raises(InvalidArgument, match="go together"):
        scale.connect("localhost:1")


def test_a_wait_ends():
    import threading

    others = scale.Processes(0, 2, wait_s=0.05)
    with pytest.raises(scale.ProcessLost, match="not at `here` within 0.05 s"):
        others.within("here", threading.Event().wait, 5)
    error = RuntimeError("Gloo all-reduce failed: Connection reset by peer")
    assert isinstance(others.blame(error), scale.ProcessLost)
    own = RuntimeError("out of memory")
    assert others.blame(own) is own and scale.ALONE.blame(error) is error
