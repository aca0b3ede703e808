"""Ctrl-C before the command's own code runs."""

import ast
import pathlib
import signal
import subprocess
import sys

import jaxbp
from jaxbp import early


def test_it_is_first_and_needs_nothing():
    """Whatever is imported before it is imported without it."""
    code = (
        "import sys, os; before = set(sys.modules); sys.argv = ['jaxbp']; "
        "import importlib.util as u; before |= set(sys.modules); "
        f"s = u.spec_from_file_location('early', {early.__file__!r}); "
        "s.loader.exec_module(u.module_from_spec(s)); "
        "print(sorted(set(sys.modules) - before))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout.strip() in ("[]", "['_signal']"), said
    package = ast.parse(pathlib.Path(jaxbp.__file__).read_text())
    first = next(n for n in package.body if isinstance(n, ast.Import | ast.ImportFrom))
    assert [name.name for name in first.names] == ["early"]


def test_of_a_command_alone(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        monkeypatch.setattr(sys, "argv", ["my_script.py"])
        early.watch()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        monkeypatch.setattr(sys, "argv", ["/usr/bin/jaxbp", "nan"])
        early.watch()
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        early.begun()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
