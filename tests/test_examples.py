"""Every public function has an example in its docstring, and it gives what it shows."""

import doctest
import subprocess
import sys

import pytest

import jaxbp

BORROWED = {"checkpoint"}  # JAX's own
NAMES = [name for name in jaxbp.__all__ if name not in BORROWED]


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs(name):
    found = getattr(jaxbp, name)
    examples = doctest.DocTestParser().get_examples(found.__doc__)
    assert len(examples) >= 3, f"`{name}` shows nothing"
    test = doctest.DocTest(examples, {}, name, None, None, found.__doc__)
    outcome = doctest.DocTestRunner(verbose=False).run(test)
    assert outcome.failed == 0


def test_the_list_of_names_is_what_dir_and_help_show():
    public = {name for name in dir(jaxbp) if not name.startswith("_")}
    assert set(jaxbp.__all__) <= public
    assert not public & {"importlib", "tree", "ir", "modes", "settings", "examples"}
    for name in public:
        assert f"`{name}`" in jaxbp.__doc__, f"`{name}` is not in the docstring"
        assert getattr(jaxbp, name).__doc__


def test_no_module_hides_a_function():
    """Whatever was imported before: `jaxbp.coverage` is the function."""
    code = (
        "import importlib, pkgutil, jaxbp\n"
        "for m in pkgutil.iter_modules(jaxbp.__path__, 'jaxbp.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "print(*[n for n in jaxbp.__all__ if not callable(getattr(jaxbp, n))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not done.stdout.split()
