"""What README.md shows is what happens."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_examples_give_the_output_shown(tmp_path):
    """In a process of its own: a reader's JAX has none of the tests' settings."""
    (tmp_path / "readme.txt").write_text(TEXT.replace("```", ""))
    code = (
        "import doctest; print(doctest.testfile('readme.txt', module_relative=False))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True,
        text=True,
    )  # fmt: skip
    assert "failed=0" in done.stdout, done.stdout + done.stderr
    attempted = re.search(r"attempted=(\d+)", done.stdout)
    assert attempted and int(attempted[1]) > 15


def test_the_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links and all((ROOT / link).exists() for link in links)


def test_the_commands_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z]+)", TEXT)) <= targets
