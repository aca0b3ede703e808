"""Ctrl-C before the command's own code runs."""

import signal
import sys

from jaxbp import early


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
