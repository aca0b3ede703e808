"""What commands print holds in any pipe and terminal, and as data; nothing is lost by
a wrong place to write or by Ctrl-C."""

import csv
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from jaxbp.commands import main

ROOT = pathlib.Path(__file__).parents[2]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a user's `model_out.py` in it."""
    shutil.copy(pathlib.Path(__file__).with_name("model.py"), tmp_path / "model_out.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("model_out", None)


def status(*argv):
    with pytest.raises(SystemExit) as stopped:
        main.main(list(argv))
    return stopped.value.code or 0


def started(*argv, env=(), **settings):
    """`python -m jaxbp *argv` as a process."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | dict(env)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "jaxbp", *argv]
    return subprocess.Popen(command, env=env, **(pipes | settings))


COMMANDS = ("trace", "cost", "check")


def allowed(command):
    """The exit statuses of a command that does its work: other tests of this process
    may have brought in primitives that `coverage` then calls holes."""
    return (0, 1) if command == "coverage" else (0,)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_narrow_encoding_is_no_error_and_no_verdict(folder, command, encoding):
    env = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    process = started(command, "model_out.py:loss", env=env, cwd=folder)
    out, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors.decode(encoding)
    assert b"loss" in out and "?" not in out.decode(encoding)


@POSIX
@pytest.mark.parametrize("columns", [60, 40])
@pytest.mark.parametrize("command", ["trace", "cost", "classics"])
def test_a_narrow_terminal_loses_nothing(folder, command, columns):
    argv = [command] if command == "classics" else [command, "model_out.py:loss"]
    out = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(columns, *argv))
    assert max(len(line.rstrip()) for line in out.splitlines()) <= columns
    words = {
        "trace": ("v1 = x @ w", "model_out.py:7", "cotangent"),
        "cost": ("pullback, tape given", "f and pushforward", "written"),
        "classics": ("character_recognition", "known"),
    }
    joined = re.sub(r"\s+", " ", out)
    assert all(word in joined for word in words[command])
    assert "…" not in joined.replace(" … ", "")


def on_terminal(columns, *argv):
    """What the command writes to a terminal of so many columns."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    size = struct.pack("HHHH", 50, columns, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    env = {"COLUMNS": str(columns), "TERM": "xterm"}
    process = started(*argv, env=env, stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    out = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        out += part
    os.close(ours)
    assert process.wait(60) == 0
    return out.decode()


@pytest.mark.parametrize("command", [*COMMANDS, "coverage"])
def test_rows_as_json_and_csv(folder, capsys, command):
    argv = [command, "tanh" if command == "coverage" else "model_out.py:loss"]
    assert status(*argv, "--json") in allowed(command)
    rows = json.loads(capsys.readouterr().out)
    assert status(*argv, "--csv") in allowed(command)
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == len(lines) > 0
    assert set(rows[0]) == set(lines[0])


LOUD = """
import jax.numpy as jnp
print("a module says hello")
def f(x):
    print("f runs")
    return jnp.sum(x**2)
example_args = (jnp.ones(2),)
"""


@pytest.mark.parametrize("command", ["check", "cost", "trace", "nan"])
def test_what_users_code_prints_is_no_part_of_an_answer(folder, capsys, command):
    (folder / "loud.py").write_text(LOUD)
    for form in ("--json", "--csv"):
        sys.modules.pop("loud", None)
        status(command, "loud.py:f", form)
        said = capsys.readouterr()
        assert "hello" in said.err and "f runs" in said.err
        assert "hello" not in said.out and "runs" not in said.out
        if form == "--json":
            json.loads(said.out)
    status(command, "loud.py:f")
    assert "f runs" in capsys.readouterr().out


@pytest.mark.parametrize("command", [*COMMANDS, "coverage"])
def test_a_page_is_written(folder, capsys, command):
    argv = [command, "tanh" if command == "coverage" else "model_out.py:loss"]
    assert status(*argv, "--html", "page.html") in allowed(command)
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "color-scheme" in page
    assert capsys.readouterr().out


@POSIX
@pytest.mark.parametrize(
    "argv",
    [
        ["trace", "model_out.py:loss", "--picture", "/proc/x.svg"],
        ["trace", "model_out.py:loss", "--html", "/proc/x.html"],
        ["check", "model_out.py:loss", "--html", "/proc/x.html"],
        ["classics", "worked", "--picture", "/proc/x.svg"],
        ["train", "digits", "--save", "/proc/x"],
        ["study", "engine_speed", "--quick", "--results", "/proc/x"],
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_the_work(folder, capsys, argv):
    assert status(*argv) == 2
    shown = capsys.readouterr()
    assert len(shown.err.strip().splitlines()) == 1 and not shown.out
    assert "must be a place that can be written, but /proc/x" in shown.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
@pytest.mark.parametrize("option", ["--html", "--picture"])
def test_a_file_on_a_full_disk_is_named(folder, capsys, option):
    (folder / "page.svg").symlink_to("/dev/full")
    assert status("trace", "model_out.py:loss", option, "page.svg") == 2
    said = capsys.readouterr().err.strip()
    assert f"`{option}` must be a place that can be written, but page.svg" in said
    assert "no space left on device" in said and "\n" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_standard_output_on_a_full_disk_is_named(folder):
    with open("/dev/full", "wb") as full:
        process = started("--help", stdout=full, stderr=subprocess.PIPE)
    told = process.communicate(timeout=60)[1].decode()
    assert told == "standard output cannot be written: no space left on device.\n"
    assert process.returncode == 2


def test_a_page_replaces_no_file_of_another_kind(folder, capsys):
    before = (folder / "model_out.py").read_text()
    assert status("trace", "model_out.py:loss", "--html", "model_out.py") == 2
    assert "would replace model_out.py" in capsys.readouterr().err
    assert (folder / "model_out.py").read_text() == before
    for _ in range(2):  # an earlier page may be replaced
        assert status("trace", "model_out.py:loss", "--html", "page.html") == 0


def test_a_state_replaces_no_file_of_another_kind(folder, capsys):
    (folder / "notes.txt").write_text("what must not be lost")
    assert status("train", "digits", "--epochs", "1", "--save", "notes.txt") == 2
    assert "would replace notes.txt" in capsys.readouterr().err
    assert (folder / "notes.txt").read_text() == "what must not be lost"


@pytest.mark.parametrize("option", ["--html", "--picture"])
def test_no_folder_is_made_for_a_report(folder, capsys, option):
    assert status("tape", "model_out.py:loss", option, "new/page.svg") == 2
    shown = capsys.readouterr()
    assert "there is no folder new." in shown.err and not shown.out
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["check", "model_out.py:loss", "--points", "0"], "`--points` must be 1 or"),
        (["check", "model_out.py:loss", "--rtol", "-1"], "`--rtol` must be a number"),
        (["trace", "model_out.py:loss", "--json", "--csv"], "not both"),
        (["train", "digits", "--learning-rate", "-1"], "`learning_rate` must be a"),
        (["train", "digits", "--hidden", "0"], "`hidden` must be 1 or more"),
        (["classics", "worked", "--json", "--latex"], "give one of --markdown"),
        (["check", "model_out.py:loss", "--argnums", "a"], "takes whole numbers, such"),
        (
            ["cost", "model_out.py:loss", "--while-trips", "1.5"],
            "it takes a whole number",
        ),
        (
            ["jacobian", "model_out.py:nothing", "--args", "1.0"],
            "Does it end in `return`?",
        ),
        (["nan", "model_out.py:nothing", "--args", "1.0"], "Does it end in `return`?"),
        (["chekc"], "Did you mean `check`?"),
        (["explain_nan"], "Did you mean `nan`?"),
        (["zzz"], "Known: `check`, `classics`, `cost`"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder, capsys, argv, said):
    assert status(*argv) == 2
    assert said in capsys.readouterr().err


def test_an_error_in_user_code_says_where_and_whose_arguments(folder, capsys):
    assert status("trace", "model_out.py:boom") == 2
    said = capsys.readouterr().err
    assert "ValueError: a user's own mistake (model_out.py:15)" in said
    assert "The arguments are `example_args` of its module." in said
    assert "Traceback" not in said and len(said.strip().splitlines()) == 1


def test_its_whole_traceback_is_shown_on_demand(folder, capsys):
    assert status("cost", "model_out.py:boom", "--traceback") == 2
    said = capsys.readouterr().err
    assert "Traceback" in said and "line 15, in helper" in said


def test_a_module_that_ends_the_process_is_named(folder, capsys):
    (folder / "ends.py").write_text("import sys\nsys.exit(3)\n")
    assert status("trace", "ends.py:f") == 2
    said = capsys.readouterr().err
    assert "importing `ends` ended in sys.exit(3) (ends.py:2)." in said


def test_no_arguments_and_a_comma_of_the_users_own(folder, capsys):
    (folder / "model_out.py").write_text("def f(*x):\n    return 2.0 * sum(x)\n")
    assert status("trace", "model_out.py:f", "--args", "") == 0
    assert status("trace", "model_out.py:f", "--args", "1.0,") == 0
    capsys.readouterr()
    assert status("trace", "model_out.py:f", "--args", "nonsense(") == 2
    assert "`--args nonsense(` raised SyntaxError" in capsys.readouterr().err


def test_classics_alone_lists_and_runs_nothing(capsys, monkeypatch):
    from jaxbp.commands import classics

    monkeypatch.setattr(classics, "run_classics", None)
    assert status("classics") == 0
    shown = capsys.readouterr().out
    assert "mazur" in shown and "known numbers met" in shown
    assert status("classics", "--list") == 0


def test_help_of_a_command_by_its_name(capsys):
    assert status("help", "cost") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: jaxbp cost") and "{None}" not in shown
    assert max(map(len, shown.splitlines())) <= 88


SLOW = """
import signal
import jax, jax.numpy as jnp
signal.signal(signal.SIGINT, signal.default_int_handler)

def f(x):
    print("up", flush=True)
    for k in range(600):
        x = jnp.sin(x) @ x + jnp.linalg.inv(x * k)
    return x.sum()

example_args = (jnp.eye(3),)
"""


@POSIX
@pytest.mark.parametrize("command", ["cost", "check"])
def test_ctrl_c_while_compiling_ends_soon_with_130(tmp_path, command):
    (tmp_path / "slow.py").write_text(SLOW)
    process = started(command, "slow.py:f", cwd=tmp_path)
    assert process.stdout.readline() == b"up\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted." in errors and b"Fatal" not in errors


@POSIX
@pytest.mark.slow
def test_ctrl_c_in_training_says_what_is_kept_and_it_is(tmp_path):
    (tmp_path / "train.py").write_text(
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from jaxbp.commands.main import main\nmain()\n"
    )
    argv = ["train", "digits", "--epochs", "1000000", "--save", "state"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "train.py", *argv, "--gradient", "layers"],
        cwd=tmp_path, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    stop_s = time.monotonic() + 120
    while not (tmp_path / "state").exists():  # saved after 10 s of epochs
        assert process.poll() is None and time.monotonic() < stop_s
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    said = errors.decode()
    assert process.returncode == 130
    match = re.search(r"state holds the state after epoch (\d+); .* --resume", said)
    assert match and int(match[1]) > 0 and (tmp_path / "state").exists()


def test_flags_that_turn_off_say_what_is_turned_off(capsys):
    assert status("train", "digits", "--help") == 0
    shown = re.sub(r"[│\s]+", " ", capsys.readouterr().out)
    assert "--no-report: print none of these." in shown


def test_no_name_is_suggested_twice(capsys):
    assert status("zzz") == 2
    assert capsys.readouterr().err.count("`classics`") == 1
