"""The `jaxbp` command: what it prints, and with which status it ends."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

import jaxbp
from jaxbp.commands import main

ROOT = pathlib.Path(__file__).parents[2]
MODEL = """
import jax.numpy as jnp

def loss(w, x):
    return jnp.sum(jnp.tanh(x @ w) ** 2)

def right(w, x):
    y = jnp.tanh(x @ w)
    return x.T @ (2 * y * (1 - y ** 2))

def wrong(w, x):
    return x.T @ (2 * jnp.tanh(x @ w))

def boom(w, x):
    return w @ jnp.ones(77)

example_args = jnp.array([0.3, -0.7]), jnp.ones((3, 2))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a user's `cli_model.py` in it."""
    (tmp_path / "cli_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("cli_model", None)


def status(*argv):
    """The exit status of `jaxbp *argv`, run in this process."""
    with pytest.raises(SystemExit) as stopped:
        main.main(list(argv))
    return stopped.value.code or 0


def started(*argv, cwd=ROOT, **settings):
    """`python -m jaxbp *argv` as a process."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jaxbp", *argv]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=env, **pipes, **settings)


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_help_has_the_commands_and_examples(capsys, argv):
    assert status(*argv) == 0
    shown = capsys.readouterr().out
    for word in (*main.COMMANDS, "examples:", "--quick"):
        assert word in shown


def test_version(capsys):
    assert status("--version") == 0
    assert capsys.readouterr().out.startswith(f"jaxbp {jaxbp.__version__}, JAX ")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["chek"], "no command `chek`. Did you mean `check`"),
        (["worked"], "no command `worked`. Did you mean `classics worked`"),
        (["train", "digts"], "no task `digts`. Did you mean `digits`?"),
        (["study", "forward_vs_revers"], "Did you mean `forward_vs_reverse`"),
        (["check", "cli_model:los"], "Did you mean `loss`"),
        (["check", "cli_modl:loss"], "`cli_model`"),
        (["check", "cli_model"], "named `pkg.mod:fn`"),
        (["check", "cli_model:boom"], "raised TypeError"),
        (["check", "cli_model:boom"], "called with float64[2], float64[3,2]."),
        (["check", "cli_model:loss", "--shapes", "f31[2]"], "must read like"),
        (["check", "cli_model:loss", "--argnums", "5"], "`argnums` must name one"),
        (["coverage", "tahn"], "no primitive with `tahn` in its name. Did you"),
        (["cost", "cli_model:loss", "--argnums", "5"], "`argnums` must name pos"),
        (["cost", "cli_model:boom"], "tracing `cli_model:boom` raised TypeError"),
        (["cost", "cli_model:loss", "--while-trips", "-1"], "`while_trips` must be"),
    ],
)
def test_wrong_input_gives_status_2_and_one_block(folder, capsys, argv, said):
    assert status(*argv) == 2
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [["check"], ["study", "--bogus"], ["train"]])
def test_a_command_line_that_cannot_be_read_gives_status_2(command):
    assert status(*command) == 2


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ([], 0),
        (["--grad", "cli_model:right"], 0),
        (["--grad", "cli_model:wrong"], 1),
        (["--args", "jnp.ones(2), jnp.ones((1, 2))", "--no-differences"], 0),
        (["--shapes", "f64[2] f64[3,2]", "--points", "1", "--argnums", "1"], 0),
    ],
)
def test_check_ends_with_its_verdict(folder, capsys, extra, expected):
    assert status("check", "cli_model:loss", *extra) == expected
    shown = capsys.readouterr().out
    assert ("NOT in agreement: w" in shown) == (expected == 1)
    assert ("all witnesses agree" in shown) == (expected == 0)


def test_64_bit_is_turned_on_by_the_types(folder):
    argv = ["check", "cli_model.py:loss", "--shapes", "f64[2] f64[3,2]", "--points=1"]
    process = started(*argv, cwd=folder)
    shown, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "float64[3,2]" in shown


@pytest.mark.parametrize(
    ("extra", "inputs"),
    [
        ([], 2),
        (["--argnums", "0", "1"], 8),
        (["--shapes", "f32[1000000] f32[1000000,1000000]"], 1_000_000),  # 4 TB
    ],
)
def test_cost_prints_the_table(folder, capsys, extra, inputs):
    assert status("cost", "cli_model:loss", *extra) == 0
    shown = capsys.readouterr().out
    assert f"loss: n = {inputs:,} inputs, m = 1 output;" in shown
    assert "Jacobian by pullbacks" in shown and "Tape:" in shown


def test_coverage_shows_both_sides_and_the_counts(capsys):
    status("coverage", "cumsu")
    shown = capsys.readouterr().out
    assert re.search(r"cumsum +rule +rule +linear +linear", shown)
    assert "cumprod" not in shown and "in forward and" in shown


def test_the_studies_are_listed(capsys):
    assert status("study") == 0
    assert "forward_vs_reverse" in capsys.readouterr().out


@pytest.mark.parametrize("call", main.COMMANDS)
def test_each_command_explains_itself(capsys, call):
    command = [word for word in call.split() if word.isalpha() and word.islower()]
    assert status(*command, "--help") == 0
    assert f"usage: jaxbp {' '.join(command)}" in capsys.readouterr().out


def test_training_a_little_from_the_command_line(capsys):
    assert status("train", "digits", "--epochs", "1", "--gradient", "layers") == 0
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_ctrl_c_ends_with_130_and_no_traceback(tmp_path):
    # A shell starts what it runs in the background with Ctrl-C ignored.
    (tmp_path / "slow.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = started("check", "slow:f", cwd=tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in errors and "Traceback" not in errors


@pytest.mark.parametrize("call", main.COMMANDS)
def test_help_is_wrapped_once_and_knows_no_python(capsys, monkeypatch, call):
    monkeypatch.setenv("COLUMNS", "80")
    command = [word for word in call.split() if word.isalpha() and word.islower()]
    assert status(*command, "--help") == 0
    shown = capsys.readouterr().out
    for word in ("None", "False", "(default: True)", "(default: '')"):
        assert word not in shown.replace("True|False", "")
    words, _, _ = shown.partition("╭")
    lines = [line for line in words.splitlines()[2:] if line.strip()]
    assert all(len(line) <= 80 for line in lines)
    assert "dtype on the way" in shown or command != ["check"]


def test_a_trace_takes_argnums(folder, capsys):
    argv = ["trace", "cli_model:loss", "--argnums", "1", "--json"]
    assert status(*argv) == 0
    rows = json.loads(capsys.readouterr().out)
    moved = {row["name"]: row["tangent"] for row in rows if row["kind"] == "input"}
    assert moved["x"] is not None and moved["w"] is None
