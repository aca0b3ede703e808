"""A pytest plugin: one import line of other tests is replaced, and nothing else.

`import jax` becomes `from tests.replaced import stand_in as jax`, where `stand_in` is
jax with jaxbp's transforms: what a program does that moves from one to the other.

  python -m pytest -p tests.replaced tests/layers tests/training
"""

import collections
import functools
import importlib.machinery
import importlib.util
import pathlib
import re
import sys
import types

import jax

import jaxbp

TRANSFORMS = (
    "grad value_and_grad jvp vjp linearize jacfwd jacrev jacobian hessian checkpoint"
).split()
PACKAGES = ("tests.layers", "tests.training")
LINE, REPLACEMENT = "import jax", "from tests.replaced import stand_in as jax"

calls = collections.Counter()  # of transforms, by whose they are and their name


def counted(whose, name, files=""):
    """The transform, its calls counted: only those from a folder, if one is given."""
    transform = getattr(whose, name)

    @functools.wraps(transform)
    def call(*args, **kwargs):
        caller = sys._getframe(1).f_code.co_filename
        calls[f"{whose.__name__}.{name}"] += caller.startswith(files)
        return transform(*args, **kwargs)

    return call


class StandIn(types.ModuleType):
    """What it does not have itself is jax's."""

    def __getattr__(self, name):
        return getattr(jax, name)


stand_in = StandIn("jax")
vars(stand_in).update({name: counted(jaxbp, name) for name in TRANSFORMS})


class ReplacingLoader(importlib.machinery.SourceFileLoader):
    """Compiles a file whose one line is replaced; keeps no bytecode of it."""

    def get_code(self, fullname):
        source = pathlib.Path(self.path).read_text()
        changed, lines = re.subn(f"(?m)^{LINE}$", REPLACEMENT, source)
        assert lines <= 1, f"{self.path} has the line {lines} times"
        return self.source_to_code(changed, self.path)


class ReplacingFinder:
    """Finds the modules of `PACKAGES` before any other finder does."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or not fullname.startswith(PACKAGES):
            return None
        loader = ReplacingLoader(fullname, spec.origin)
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=loader
        )


def pytest_configure(config):
    sys.meta_path.insert(0, ReplacingFinder)
    tests = str(pathlib.Path(__file__).parent)
    for name in TRANSFORMS:
        setattr(jax, name, counted(jax, name, tests))


def pytest_terminal_summary(terminalreporter):
    total = {whose: 0 for whose in ("jax", "jaxbp")}
    for name, count in calls.items():
        total[name.split(".")[0]] += count
    terminalreporter.write_line(
        f"transforms called by the tests: {total['jaxbp']} of jaxbp in the place of "
        f"jax's, {total['jax']} of jax"
    )
