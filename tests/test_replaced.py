"""jaxbp takes the place of jax's transforms by one import line: other tests show it.

A sample of the layers' and training tests, which the suite runs with jax's transforms,
runs here with jaxbp's. The docstring of `tests.replaced` has the command for them all.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
SECOND_ORDER = "test_second_order_of_the_hand_written_gradient"
AGREES = "test_backward_agrees_with_automatic_differentiation"
SAMPLE = [
    f"layers/test_models.py::{SECOND_ORDER}[lstm-classifier]",
    "layers/test_models.py::test_hessian_of_an_mlp",
    "layers/test_models.py::test_no_flop_is_wasted[mlp]",
    f"layers/test_layers.py::{AGREES}[jax-float64-conv]",
    f"layers/test_layers.py::{AGREES}[jax-float32-attention-causal]",
    f"layers/test_loss.py::{AGREES}[cross-entropy-(5, 3)-float64-jax]",
    "training/test_step.py::test_sgd_step_is_the_textbook_one",
    "training/test_step.py::test_optimizers_run_under_strict_promotion"
    "[clipped adamw-float64]",
    "training/test_loop.py::test_fit_equals_a_plain_loop[8-keep]",
    "training/test_loop.py::test_validation_columns",
    "training/test_loop.py::test_python_numbers_and_numpy_arrays_are_parameters",
]


def test_one_line_and_nothing_else():
    options = ["-q", "-p", "no:cacheprovider", "-p", "tests.replaced"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(f"tests/{s}" for s in SAMPLE)],
        cwd=ROOT,
        env=os.environ | {"PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(SAMPLE)} passed" in done.stdout
    counts = r"(\d+) of jaxbp in the place of jax's, (\d+) of jax"
    ours, jaxs = map(int, re.search(counts, done.stdout).groups())
    assert ours >= len(SAMPLE) // 2 and jaxs == 0
