"""Each notebook runs from top to bottom, in small sizes, and shows its pictures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

reason = "the `test` extra installs it"
pytest.importorskip("nbclient", reason=reason)
nbformat = pytest.importorskip("nbformat", reason=reason)
pytest.importorskip("ipykernel", reason=reason)

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "studies" / "notebooks").glob("*.ipynb"))
PICTURE = re.compile(r"^notebook\.[pP]icture\(", re.MULTILINE)
PNG = "iVBORw0KGgo"  # how the bytes that open a PNG begin in base 64


def in_small_sizes(notebook):
    """The notebook with the form fields that its metadata names at quick values."""
    for name, value in notebook.metadata.jaxbp.quick.items():
        field = re.compile(rf"^{name} = .*(?=  # @param)", re.MULTILINE)
        filled = f"{name} = {value!r}".replace("\\", r"\\")
        changed = 0
        for cell in notebook.cells:
            cell.source, count = field.subn(filled, cell.source)
            changed += count
        assert changed == 1, f"`{name}` must be the name of one form field"
    return notebook


@pytest.fixture
def of_nobody(tmp_path, monkeypatch):
    """A folder that a kernel starts in, with no settings of whoever runs the tests.

    Programs run a few times only: LLVM's optimizations take longer than they save.
    """
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


# In a process of its own: the client's sockets and their late warnings stay there.
EXECUTE = """
import sys, nbclient, nbformat
notebook, folder = nbformat.read(sys.argv[1], as_version=4), sys.argv[2]
place = {"metadata": {"path": folder}}
client = nbclient.NotebookClient(
    notebook, timeout=240, kernel_name="python3", resources=place
)
client.execute()  # raises what a cell raises
nbformat.write(notebook, sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_its_pictures(path, of_nobody):
    copy = of_nobody / path.name
    nbformat.write(in_small_sizes(nbformat.read(path, as_version=4)), copy)
    command = [sys.executable, "-c", EXECUTE, str(copy), str(of_nobody)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(copy, as_version=4)
    cells = {c.id: c for c in notebook.cells if c.cell_type == "code"}
    assert "NO ACCELERATOR" in html_of(cells["device"]) or not on_a_cpu()
    assert cells["install"].outputs == []
    assert not [
        o for c in cells.values() for o in c.outputs if o.get("name") == "stderr"
    ]
    drawn = [c for c in cells.values() if PICTURE.search(c.source)]
    assert len(drawn) >= 2
    assert all(data_of(cell)["image/png"].startswith(PNG) for cell in drawn)


def on_a_cpu():
    import jax

    return jax.default_backend() == "cpu"


def data_of(cell):
    """What a cell's last line shows, by type."""
    return cell.outputs[-1]["data"]


def html_of(cell):
    return data_of(cell)["text/html"]
