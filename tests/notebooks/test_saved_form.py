"""Notebooks are committed as one opens them: nothing run, nothing of any machine."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "studies" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
BADGE = (
    '<a href="https://colab.research.google.com/">'
    '<img src="https://colab.research.google.com/assets/colab-badge.svg"'
)
HOSTS = {"colab.research.google.com", "mattmazur.com"}
MACHINE = re.compile(
    r"(?<![\w./:])/(home|root|Users|tmp|usr|opt|mnt|work|content)/|[A-Z]:\\\\"
)


@pytest.fixture(params=NOTEBOOKS, ids=NAMES)
def text(request):
    return request.param.read_text()


@pytest.fixture
def notebook(text):
    return json.loads(text)


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def test_there_are_the_six():
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "06", "08"]


def test_nothing_of_a_run_is_saved(notebook):
    for cell in code_cells(notebook):
        assert cell["outputs"] == [] and cell["execution_count"] is None, cell["id"]
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"cellView"}, cell["id"]


def test_no_machine_and_no_unknown_address(text):
    assert not MACHINE.search(text)
    assert set(re.findall(r"https?://([^/\\\"]+)", text)) <= HOSTS


def test_cells_have_names_that_stay(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z-]*", name) for name in names), names


def test_it_opens_as_a_notebook_of_colab(notebook):
    metadata = notebook["metadata"]
    assert metadata["accelerator"] == "GPU" and metadata["colab"]["gpuType"]
    assert metadata["kernelspec"]["name"] == "python3"
    title, install, device = notebook["cells"][:3]
    assert source(title).startswith("# ") and BADGE in source(title)
    assert [install["id"], device["id"]] == ["install", "device"]
    assert source(device).endswith("notebook.this_device()")


def test_the_install_cell_is_the_same_in_all():
    """Quiet, without dependencies that could move the runtime's JAX."""
    cells = [json.loads(path.read_text())["cells"][1] for path in NOTEBOOKS]
    assert len({source(cell) for cell in cells}) == 1
    said = source(cells[0])
    assert cells[0]["metadata"] == {"cellView": "form"}
    assert '%pip install -q --no-deps "{source}"' in said
    assert said.count("%pip install") == said.count("%pip install -q") == 2
    assert 'find_spec("jaxbp") is None' in said and 'source = ""  # @param' in said


def test_it_is_short(notebook):
    assert 10 <= len(notebook["cells"]) <= 18
    assert max(source(cell).count("\n") for cell in code_cells(notebook)) < 45
