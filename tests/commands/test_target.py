"""Functions and arguments named on the command line."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbp.commands import target
from jaxbp.errors import InvalidArgument, UnknownName

SOURCE = '''
"""A module of the user's."""
import jax.numpy as jnp

SCALE = 3.0

def loss(w):
    return jnp.sum(w ** 2)

class Net:
    @staticmethod
    def apply(w):
        return w

example_args = {"loss": lambda: (jnp.ones(2),), "Net.apply": [jnp.ones(3)], "bad": 3}
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The path of a user's module in the current folder, forgotten afterwards."""
    (tmp_path / "user_model.py").write_text(SOURCE)
    (tmp_path / "user_broken.py").write_text("x = 1\ny = x / 0\n")
    (tmp_path / "user_needs.py").write_text("import package_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path / "user_model.py"
    for name in ("user_model", "user_broken", "user_needs"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["user_model:loss", "user_model.py:loss"])
def test_a_function_is_found_by_module_and_by_file(module, name):
    f, found = target.load_function(name)
    assert f(jnp.ones(3)) == 3 and found.SCALE == 3.0


def test_an_attribute_of_a_class_and_a_file_elsewhere(module, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert target.load_function(f"{module}:Net.apply")[0](7) == 7


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("user_model", InvalidArgument, "named `pkg.mod:fn`"),
        ("user_model:los", UnknownName, "no function `los`. Did you mean `loss`"),
        ("user_modl:loss", UnknownName, "no module `user_modl`.*`user_model`"),
        ("user_model.part:loss", UnknownName, "no module `user_model.part`"),
        ("user_modl.py:loss", UnknownName, "no file user_modl.py.*`user_model.py`"),
        ("user_model:SCALE", InvalidArgument, "must be a function.*float"),
        ("user_broken:f", InvalidArgument, r"ZeroDivisionError.*user_broken.py:2"),
        ("user_needs:f", InvalidArgument, "No module named 'package_nobody_has'"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(module, name, error, match):
    with pytest.raises(error, match=match):
        target.load_function(name)


def test_arguments_by_expression_see_the_module(module):
    _, found = target.load_function("user_model:loss")
    args = target.arguments("loss", found, "jnp.ones(2) * SCALE, 2.0, [1]")
    assert args[0].tolist() == [3.0, 3.0] and args[1:] == (2.0, [1])
    assert target.arguments("loss", found, "2.0") == (2.0,)


def test_arguments_from_the_module_s_examples(module):
    _, found = target.load_function("user_model:loss")
    assert target.arguments("loss", found)[0].shape == (2,)
    assert target.arguments("Net.apply", found)[0].shape == (3,)
    with pytest.raises(UnknownName, match="no entry `lost`. Did you mean `loss`"):
        target.arguments("lost", found)
    with pytest.raises(InvalidArgument, match="must be a tuple.*int"):
        target.arguments("bad", found)
    with pytest.raises(InvalidArgument, match="not both"):
        target.arguments("loss", found, "1", "f32")
    with pytest.raises(InvalidArgument, match="NameError: name 'nope'"):
        target.arguments("loss", found, "nope")
    with pytest.raises(InvalidArgument, match="`f` needs arguments: --args"):
        target.arguments("f", np)


def test_shapes():
    assert target.parse_shapes("f32[3,4] i32[2]bf16 f64[]") == [
        ("float32", (3, 4)), ("int32", (2,)), ("bfloat16", ()), ("float64", ()),
    ]  # fmt: skip
    assert target.parse_shapes("") == []
    arrays = target.filled("f32[3,4] i32[50] bool[2] c64[2]", seed=0)
    assert [str(a.dtype) for a in arrays] == ["float32", "int32", "bool", "complex64"]
    assert set(arrays[1].tolist()) == {0, 1} and isinstance(arrays[0], jax.Array)
    again = target.filled("f32[3,4] i32[50] bool[2] c64[2]", seed=0)
    assert jnp.array_equal(arrays[0], again[0])


@pytest.mark.parametrize("text", ["f65[3]", "f32[3", "3,4", "f32[a]", "f32[-1]"])
def test_shapes_that_cannot_be_read(text):
    with pytest.raises(InvalidArgument, match=r"must read like 'f32\[3,4\] i32\[2\]"):
        target.parse_shapes(text)


@pytest.mark.parametrize(
    ("text", "wide"),
    [("f32[2] c64[1]", False), ("f64[1]", True), ("c128", True), ("i64[2]", True)],
)
def test_which_shapes_need_64_bit(text, wide):
    assert target.needs_64_bit(text) is wide


def test_ctrl_c_that_met_a_callback_is_no_fault_of_f():
    said = "INTERNAL: CpuCallback error: Traceback ...\nKeyboardInterrupt\n"
    with pytest.raises(KeyboardInterrupt), target.blamed_on_user("checking `f`"):
        raise jax.errors.JaxRuntimeError(said)
