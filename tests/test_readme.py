"""What README.md shows is what happens."""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


SESSION = r"""
import contextlib, doctest, io, json, linecache, re, sys
text, names, shown, failed = sys.stdin.read(), {}, [], 0
for code in re.findall(r"```python\n(.*?)```", text, re.S):
    if ">>>" in code:
        examples = doctest.DocTestParser().get_examples(code)
        test = doctest.DocTest(examples, names, "README.md", None, None, code)
        failed += doctest.DocTestRunner().run(test, clear_globs=False).failed
        names = test.globs
        continue
    linecache.cache["ex.py"] = len(code), None, code.splitlines(True), "ex.py"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "ex.py", "exec"), names)
    shown.append(out.getvalue())
assert not failed
print(json.dumps(shown))
"""


def test_the_code_gives_the_output_shown_in_one_session():
    """All blocks in order, in one process: a reader's JAX has no test's settings."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SESSION], input=TEXT, env=env, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    check, nan, trace, cost, program = json.loads(done.stdout.splitlines()[-1])
    printed = re.findall(r"```text\n(.*?)```", TEXT, re.S)
    digits = re.compile(r"\d+(\.\d+)?(e[-+]?\d+)?")  # those of noise are the machine's
    assert digits.sub("#", check).split() == digits.sub("#", printed[0]).split()
    assert nan.split() == printed[1].split()
    assert trace.strip() == printed[2].strip()
    # A reader's lines are those of a file; the widest are wrapped for the page.
    cost, program = (re.sub(r"<doctest [^>]*>", "ex.py", s) for s in (cost, program))
    assert cost.split() == printed[3].split()
    assert program.strip() == printed[4].strip()


def test_the_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert links and all((ROOT / link).exists() for link in links)


def test_the_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", TEXT)) <= targets
