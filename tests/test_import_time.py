"""`import jaxbp` costs a small part of the `import jax` that it brings.

Measured in processes of their own, with bytecode cached as after any first run, each
beside `import jax` in the same process: processor time, so that a busy machine slows
both alike. The smallest of several runs counts, since other work can only add to it.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
LIMIT = 0.25  # of what `import jax` takes
RUNS = 7
# Loaded only by what uses them; each costs as much as all of jaxbp's own.
HEAVY = ("matplotlib", "optax", "rich", "scipy", "tyro", "safetensors", "jaxtyping")

MEASURE = """
import time
start = time.process_time()
import jax
middle = time.process_time()
import jaxbp
print((time.process_time() - middle) / (middle - start))
"""


def output_of(code, cache):
    """What a fresh interpreter prints for `code`, its bytecode kept in `cache`."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cache)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    return done.stdout


def test_import_is_quick(tmp_path):
    output_of("import jaxbp", tmp_path)  # compiles
    shares = []
    for _ in range(RUNS):
        shares.append(float(output_of(MEASURE, tmp_path)))
        if shares[-1] < LIMIT:
            return  # one run under the limit bounds the cost itself
    raise AssertionError(f"import jaxbp took at best {min(shares):.0%} of import jax")


def test_import_loads_nothing_heavy(tmp_path):
    code = "import jax, sys; old = set(sys.modules); import jaxbp; "
    code += "print(*{m.split('.')[0] for m in set(sys.modules) - old})"
    loaded = set(output_of(code, tmp_path).split()) & set(HEAVY)
    assert not loaded, f"import jaxbp loads {loaded}"
