"""Ctrl-C before the command's own code runs."""

import ast
import pathlib
import signal
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_an_interrupt_that_python_would_swallow_is_raised_again():
    """In a finalizer or a callback of the garbage collector it is printed and lost."""
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # where ignored
        "from jaxbp.interrupts import interruptible\n"
        "class Lost:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "with interruptible():\n"
        "    lost = Lost()\n"
        "    del lost\n"
        "    time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", code]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stderr) == (130, "Interrupted.\n")
