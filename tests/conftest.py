"""Every test runs in 64-bit, with strict promotion of dtypes and none of ranks.

Broadcasting across ranks can then not hide a wrong cotangent, and no test passes
because a float32 was quietly widened. Warnings are errors (pyproject.toml).
"""

import atexit
import gc
import os
import pathlib
import shutil
import tempfile

# The CPU is the machine that every developer has; JAX_PLATFORMS=cuda overrides.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Four devices, so that a mesh has neighbours; most tests use the first alone.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

# readline exports them from the parent of the workers, and tables would be narrow.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

# What one worker, or a command that a test starts, has compiled, the others read.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.mkdtemp(prefix="jaxbp-compiled-")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import matplotlib

matplotlib.use("Agg")  # no test opens a window

import jax  # noqa: E402  (the platform is chosen first)
import pytest  # noqa: E402

os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # of commands that tests start
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# Folders whose programs run once or twice: LLVM's optimizations take longer than the
# run they would shorten. XLA's own passes run all the same.
COMPILED_QUICKLY = set(
    "across checkpointing checks classics commands control diagnosis ecosystem "
    "evaluation fuzz ir layers linear problems rules scale studies study training "
    "transforms walkers".split()
)


# Programs by the thousand live in JAX's caches: every 700 objects is too often to go
# through them.
gc.set_threshold(20_000, 10, 10)


@pytest.fixture(autouse=True)
def compile_quickly(request):
    folder = request.path.relative_to(pathlib.Path(__file__).parent).parts[0]
    jax.config.update("jax_disable_most_optimizations", folder in COMPILED_QUICKLY)


def pytest_collection_modifyitems(items):
    """Skip what needs an accelerator where JAX sees none."""
    marked = [item for item in items if item.get_closest_marker("accelerator")]
    if marked and jax.default_backend() == "cpu":
        skip = pytest.mark.skip(reason="needs a GPU or a TPU; JAX sees a CPU only")
        for item in marked:
            item.add_marker(skip)


@pytest.fixture
def key():
    """The one key from which a test splits its own."""
    return jax.random.key(0)
