"""A tree comes back from its file bit for bit; a file that does not fit says where."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbp.errors import DataError, DtypeMismatch, ShapeMismatch, StructureMismatch
from jaxbp.training import load, read_notes, save
from jaxbp.training.tensors import read_tensors, write_tensors


class Pair(NamedTuple):
    left: jax.Array
    right: tuple


def assert_identical(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert type(a) is type(b)
        if isinstance(b, jax.Array) and jnp.issubdtype(b.dtype, jax.dtypes.prng_key):
            assert a.dtype == b.dtype
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        assert a.tobytes() == b.tobytes()


DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 "
    "float64 complex64 complex128 float8_e4m3fn float8_e5m2 int4 uint4"
).split()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3)])
def test_every_dtype_and_shape(tmp_path, dtype, shape):
    numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2
    tree = {"x": jnp.asarray(numbers).astype(dtype)}
    save(tmp_path / "x", tree)
    assert_identical(load(tmp_path / "x", tree).tree, tree)


def test_special_values_keep_their_bits(tmp_path):
    tree = [jnp.array([jnp.nan, -0.0, jnp.inf, -jnp.inf, 5e-324])]
    save(tmp_path / "x", tree)
    assert_identical(load(tmp_path / "x", tree).tree, tree)


@pytest.mark.parametrize(
    "tree",
    [
        Pair(jnp.ones(2), (jnp.zeros(()), None, {})),
        {"a/b": jnp.ones(1), "a": {"b": jnp.zeros(1)}, "": jnp.ones(2), "[0]": 3},
        [True, 3, -2.5, 1j],
        [np.arange(6.0).reshape(2, 3).T, np.float32(3) * np.ones(())],
        jnp.arange(3),
        (),
        {"key": jax.random.key(3), "keys": jax.random.split(jax.random.key(4), (2, 3))},
        {"key": jax.random.key(3, impl="rbg"), "raw": jax.random.PRNGKey(7)},
    ],
    ids=["tuples", "names", "numbers", "numpy", "leaf", "empty", "keys", "rbg"],
)
def test_every_structure(tmp_path, tree):
    save(tmp_path / "x", tree)
    assert_identical(load(tmp_path / "x", tree).tree, tree)


def test_a_transposed_device_array_is_stored_by_its_indices(tmp_path):
    tree = jnp.arange(6.0).reshape(2, 3).T
    save(tmp_path / "x", tree)
    assert_identical(load(tmp_path / "x", tree).tree, tree)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adam(1e-3),
        optax.sgd(0.1, momentum=0.9),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
        optax.MultiSteps(optax.rmsprop(1e-3), 2),
    ],
    ids=["adam", "sgd", "chain", "multisteps"],
)
def test_optimizer_states(tmp_path, optimizer):
    params = {"W": jnp.ones((2, 3)), "b": jnp.zeros(3, jnp.bfloat16)}
    tree = optimizer.init(params)
    save(tmp_path / "x", tree)
    like = jax.eval_shape(optimizer.init, params)
    assert_identical(load(tmp_path / "x", like).tree, tree)


def test_history_and_notes_travel_along(tmp_path):
    path = tmp_path / "x"
    notes = {"seed": 3, "sizes": [64, 32, 10], "dtype": "float32"}
    save(path, jnp.ones(2), {"loss": np.arange(5.0)}, notes)
    saved = load(path, jnp.zeros(2))
    assert saved.history["loss"].tolist() == [0, 1, 2, 3, 4]
    assert saved.notes == read_notes(path) == notes


def test_equal_content_gives_equal_bytes(tmp_path):
    tree = {"W": jnp.ones((2, 3)), "z": jnp.ones(2, jnp.complex128)}
    for name in "ab":
        save(tmp_path / name, tree, {"loss": np.ones(3)}, {"seed": 1, "rate": 0.1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


SAVED = {"W": jnp.ones((2, 3)), "b": jnp.zeros(3), "key": jax.random.key(0)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"c": jnp.ones(1)}, StructureMismatch, r"`state\['c'\]` is in the structure"),
        ({"b": None}, StructureMismatch, r"`state\['b'\]` is in the file but not in"),
        ({"W": jnp.ones((3, 2))}, ShapeMismatch, r"\['W'\]` must have shape \(3, 2\)"),
        ({"b": jnp.zeros(3, jnp.float32)}, DtypeMismatch, r"\['b'\]` .* float32 but"),
        ({"key": jax.random.key(0, impl="rbg")}, DtypeMismatch, "dtype key<rbg> but"),
        (
            {"b": jax.random.key(0)},
            DtypeMismatch,
            r"\['b'\]`.* key<fry> but has float64",
        ),
        (
            {"key": jax.random.split(SAVED["key"])},
            ShapeMismatch,
            r"\['key'\]` .*\(2,\)",
        ),
    ],
)
def test_a_mismatching_structure_names_the_leaf(tmp_path, change, error, message):
    save(tmp_path / "x", SAVED)
    with pytest.raises(error, match=message):
        load(tmp_path / "x", SAVED | change)


def test_foreign_files_are_named(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(DataError, match="cannot be read"):
        load(path, SAVED)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match="not a safetensors file"):
        load(path, SAVED)
    save(path, SAVED)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="or is truncated"):
        load(path, SAVED)


def test_a_safetensors_file_of_another_program_is_named(tmp_path):
    import safetensors.numpy

    safetensors.numpy.save_file({"W": np.ones(2)}, tmp_path / "x")
    with pytest.raises(DataError, match="written by another program"):
        load(tmp_path / "x", SAVED)


def test_a_failed_write_leaves_the_previous_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_tensors(path, {"a": np.ones(2)}, "first")

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_tensors(path, {"a": np.zeros(9)}, "second")
    assert read_tensors(path)[1] == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
