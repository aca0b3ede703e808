"""Type checkers know every public name and its signature, and find a misspelt one."""

import ast
import importlib.util
import inspect
import pathlib
import subprocess
import sys

import pytest

import jaxbp

ROOT = pathlib.Path(__file__).parents[1]
STUB = ast.parse((ROOT / "jaxbp" / "__init__.pyi").read_text())
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
METHODS = {
    node.name: {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    for node in STUB.body
    if isinstance(node, ast.ClassDef)
}
ELSEWHERE = {
    "LinearProgram",
    "Options",
    "Pullback",
    "Pushforward",
    "checkpoint",
}  # fmt: skip (named there, described elsewhere)

USER = """
import jaxbp

def loss(w: float) -> float:
    return w * w

slope = jaxbp.grad(loss)(1.0)
value, more = jaxbp.value_and_grad(loss, argnums=0)(1.0)
report = jaxbp.check(loss, 1.0, points=1)
if report:
    print(report, [row.leaf for row in report.rows], report.findings, report.notes)
print(jaxbp.sparse.jacobian(loss)(1.0).shape, jaxbp.checkpointed(loss, 1000).plan(1.0))
print(jaxbp.cost(loss, 1.0).table(), jaxbp.trace(loss, 1.0).rows)
print(jaxbp.coverage().summary(), jaxbp.jacrev(loss)(1.0))
print(jaxbp.hvp(loss, (1.0,), (1.0,)), jaxbp.vjp(loss, 1.0)[0], jaxbp.layers.mlp)
with jaxbp.options(sums_early=False), jaxbp.loops("stack"):
    print(jaxbp.jvp(loss, (1.0,), (1.0,)))
print(jaxbp.jacobian(loss).plan(1.0).chosen.name, jaxbp.hessian(loss).plan(1.0))
print(jaxbp.errors.JaxbpError, jaxbp.timing.time_calls, jaxbp.training.fit)
"""
WRONG = """
import jaxbp
jaxbp.chekc(print)
jaxbp.grad(print, argnum=0)
jaxbp.cost(3)
"""


def test_the_stub_names_what_there_is():
    public = {name for name in METHODS if not name.startswith("_")}
    assert set(FUNCTIONS) | ELSEWHERE | public == set(jaxbp.__all__)


def test_the_stub_of_a_class_is_that_of_its_methods():
    for name in ("__init__", "__call__"):
        same_parameters(METHODS["Checker"][name], getattr(jaxbp.Checker, name))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stub_has_the_parameters_and_defaults_of_the_function(name):
    same_parameters(FUNCTIONS[name], getattr(jaxbp, name))


def same_parameters(stub, function):
    spec = stub.args
    stubbed = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    stubbed += [spec.vararg.arg] if spec.vararg else []
    stubbed += [a.arg for a in spec.kwonlyargs]
    stubbed += [spec.kwarg.arg] if spec.kwarg else []
    real = inspect.signature(function).parameters
    assert stubbed == list(real)
    defaults = [ast.literal_eval(d) for d in (*spec.defaults, *spec.kw_defaults) if d]
    empty = inspect.Parameter.empty
    assert defaults == [p.default for p in real.values() if p.default is not empty]


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("pyright"), reason="needs pyright")
def test_pyright_is_content_with_a_users_file_and_finds_what_is_wrong(tmp_path):
    (tmp_path / "user.py").write_text("# pyright: strict\n" + USER)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "pyrightconfig.json").write_text(
        f'{{"extraPaths": ["{ROOT.as_posix()}"]}}'
    )
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "user.py" not in done.stdout, done.stdout
    for said in ('"chekc"', '"argnum"', '"Literal[3]"'):
        assert said in done.stdout
    assert done.stdout.count("error:") == 3


@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="needs mypy")
def test_mypy_knows_the_names(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "user.py"]
    env = {"MYPYPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=env
    )
    assert "user.py" not in done.stdout, done.stdout
