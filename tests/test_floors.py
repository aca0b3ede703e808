"""The package is a house: a module imports from lower floors only.

Read from the source with `ast`, so imports inside functions count as well, and
so does the promise that the witnesses of a gradient do not call one another.
"""

import ast
import pathlib
import tomllib

import pytest

import jaxbp

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / "jaxbp").rglob("*.py"))

# A unit is a package or a single file directly under jaxbp/. Neighbours on one floor
# may not import each other; floor 0 is stacked, so that each sees those before it.
FLOOR = {
    "errors": 0.0, "early": 0.0, "settings": 0.05, "interrupts": 0.05, "outputs": 0.05,
    "offered": 0.05, "examples": 0.05, "ir": 0.1,
    "tree": 0.2, "drawing": 0.3, "display": 0.5,
    "linear": 1, "layers": 1, "problems": 1, "checks": 1, "timing": 1, "scalar": 1,
    "rules": 2,
    "walkers": 3,
    "control": 4, "transforms": 4.5,
    "costs": 5, "across": 5, "checkpointing": 5.5, "diagnosis": 5, "witnesses": 5,
    "covering": 5, "worked": 5, "scale": 5,
    "advice": 6, "sparse": 6, "evaluation": 6, "training": 6,
    "study": 7,
    "classics": 8,
    "commands": 9, "__main__": 10,
}  # fmt: skip
# The engine sees of floor 1 only its own linear maps, or a witness could lean on it.
ENGINE = {
    "rules": {"linear"}, "walkers": {"linear", "rules"},
    "control": {"linear", "rules", "walkers"},
    "transforms": {"linear", "rules", "walkers"},
}  # fmt: skip
# Parts that judge gradients, or are judged: they differentiate by their own means.
WITNESSES = {
    "errors", "settings", "tree", "ir", "linear", "rules", "walkers", "control",
    "transforms", "layers", "scalar", "checks",
}  # fmt: skip
DIFFERENTIATORS = {
    "grad", "value_and_grad", "jvp", "vjp", "linearize", "linear_transpose",
    "jacfwd", "jacrev", "hessian",
}  # fmt: skip
# The one documented, opt-in door: its file, and the functions that may call JAX's.
FOREIGN_DOOR = "borrowed.py", ("_jax_pushforward", "_jax_transpose")
STANDARD_OR_DECLARED = {"jax", "jaxbp", "ml_dtypes"}  # ml_dtypes comes with jax


def unit_of(file):
    """The package or single file under jaxbp/ that a source file belongs to."""
    return file.relative_to(ROOT / "jaxbp").parts[0].removesuffix(".py")


def imported(tree, file):
    """(line, absolute dotted name) for everything that a file imports."""
    package = ("jaxbp", *file.relative_to(ROOT / "jaxbp").parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module or "").split("."))).strip(".")
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def jax_attributes(tree):
    """(line, dotted name) for every attribute read directly from `jax`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "jax":
                yield node.lineno, f"jax.{node.attr}"


def behind_the_door(tree, file):
    """Lines of the functions that may ask JAX for a derivative."""
    door, functions = FOREIGN_DOOR
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if file.name == door and node.name in functions:
                yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def floor_violations(tree, file):
    """Imports of a neighbour, of a higher floor, or past an engine part's reach."""
    unit = unit_of(file)
    for line, name in imported(tree, file):
        parts = name.split(".")
        if parts[0] != "jaxbp":
            continue
        # `from jaxbp import grad` reads the front door, which lies above the engine.
        target = parts[1] if len(parts) > 1 and parts[1] in FLOOR else None
        if target == unit:
            continue
        if target is None:
            if FLOOR[unit] <= FLOOR["transforms"]:
                yield f"{file.name}:{line} imports {name} through the front door"
        elif FLOOR[target] >= FLOOR[unit]:
            yield f"{file.name}:{line} imports {name} from the same or a higher floor"
        elif FLOOR[target] == 1 and target not in ENGINE.get(unit, {target}):
            yield f"{file.name}:{line} imports {name}; {unit} may use {ENGINE[unit]}"


def test_every_unit_has_a_floor():
    units = {unit_of(file) for file in FILES} - {"__init__"}
    assert units <= set(FLOOR), f"give {units - set(FLOOR)} a floor in {__file__}"


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
class TestFile:
    def test_imports_only_from_lower_floors(self, file):
        if unit_of(file) != "__init__":
            assert not list(floor_violations(ast.parse(file.read_text()), file))

    def test_no_private_jax_and_no_witness_calling_another(self, file):
        tree = ast.parse(file.read_text())
        names = [*imported(tree, file), *jax_attributes(tree)]
        private = [n for n in names if n[1].startswith("jax._src")]
        assert not private, f"{file}: jax._src is nobody's public interface"
        if unit_of(file) in WITNESSES:
            banned = {f"jax.{name}" for name in DIFFERENTIATORS}
            allowed = set(behind_the_door(tree, file))
            calls = [n for n in names if n[1] in banned or "interpreters.ad" in n[1]]
            calls = [n for n in calls if n[0] not in allowed]
            assert not calls, f"{file}: a witness may not lean on JAX's derivatives"

    def test_imports_only_declared_dependencies(self, file):
        import sys

        known = set(sys.stdlib_module_names) | STANDARD_OR_DECLARED | declared()
        names = imported(ast.parse(file.read_text()), file)
        foreign = {name.split(".")[0] for _, name in names} - known
        assert not foreign, f"{file} imports {foreign}, which pyproject.toml lacks"

    def test_opens_with_a_docstring_and_stays_readable(self, file):
        text = file.read_text()
        assert not text or ast.get_docstring(ast.parse(text)), f"{file}: no docstring"
        assert text.count("\n") <= 400, f"{file}: over 400 lines; one idea per file"


def declared():
    """Import names of the dependencies in pyproject.toml (all equal their names)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {requirement.split(">=")[0] for requirement in project["dependencies"]}


def public_callables():
    """What `jaxbp` itself offers: functions and classes, not submodules."""
    names = [name for name in dir(jaxbp) if not name.startswith("_")]
    return [name for name in names if callable(getattr(jaxbp, name))]


def test_every_public_function_has_a_docstring():
    bare = [name for name in public_callables() if not getattr(jaxbp, name).__doc__]
    assert not bare, f"no docstring: {bare}"


@pytest.mark.parametrize(
    ("place", "line", "fault"),
    [
        ("layers/dense.py", "from jaxbp.linear import base", "same or a higher"),
        ("layers/dense.py", "from ..walkers import forward", "same or a higher"),
        ("rules/shape.py", "from jaxbp.checks import adjoint", "may use {'linear'}"),
        ("walkers/reverse.py", "import jaxbp.layers.dense", "may use"),
        ("walkers/reverse.py", "from jaxbp import grad", "front door"),
    ],
)
def test_a_planted_import_is_found(place, line, fault):
    found = list(floor_violations(ast.parse(line), ROOT / "jaxbp" / place))
    assert len(found) == 1 and fault in found[0]


def test_an_allowed_import_is_not_reported():
    tree = ast.parse("from ..linear import base\nfrom jaxbp.errors import JaxbpError")
    assert not list(floor_violations(tree, ROOT / "jaxbp" / "walkers" / "reverse.py"))
