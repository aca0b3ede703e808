"""`import jaxbp` costs little on top of `import jax`.

What is imported is counted, and no time is taken: a loaded machine counts the same.
Numbers are of modules beyond those that `import jax` and `import jax.numpy` load.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
# Loaded only by what uses them; each takes longer than all of jaxbp.
HEAVY = "matplotlib optax rich scipy tyro safetensors jaxtyping mpmath".split()
ENGINE = "ir linear rules walkers control transforms"  # comes with the first derivative
MOST_OWN = 8  # the door, its settings and errors
MOST_OTHERS = 8  # of the standard library

LOADED = """
import sys
import jax, jax.numpy
old = set(sys.modules)
import jaxbp
print(*sorted(set(sys.modules) - old))
"""


def loaded() -> set[str]:
    """Names of the modules that `import jaxbp` loads after jax, in a new process."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    return set(done.stdout.split())


def test_import_loads_little():
    modules = loaded()
    roots = {name.split(".")[0] for name in modules}
    assert not roots & set(HEAVY), f"import jaxbp loads {roots & set(HEAVY)}"
    own = {name for name in modules if name.split(".")[0] == "jaxbp"}
    assert not own & {f"jaxbp.{name}" for name in ENGINE.split()}
    assert len(own) <= MOST_OWN, len(own)
    assert len(modules - own) <= MOST_OTHERS, sorted(modules - own)
