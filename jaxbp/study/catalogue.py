"""Which studies are there, and what is known of each without running it?"""

import ast
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import jaxbp
from jaxbp.errors import DataError, UnknownName, nearest
from jaxbp.study.base import Row, Study


def studies_folder() -> Path:
    """The repository's `studies/`, also when started from elsewhere.

    Raises:
      DataError: neither the source tree of this jaxbp nor the current folder has one.
    """
    candidates = (Path(jaxbp.__file__).parents[1], Path.cwd())
    for root in candidates:
        if (root / "studies").is_dir():
            return root / "studies"
    raise DataError(
        "no `studies/` folder beside this jaxbp or in the current folder. Studies come "
        "with the repository: clone it and `pip install -e .` there."
    )


def results_folder() -> Path:
    """Where results go unless told otherwise: beside `studies/`."""
    return studies_folder().with_name("results")


def study_files() -> dict[str, Path]:
    """name -> script, of every script in `studies/` that defines a `study`."""
    scripts = sorted(studies_folder().glob("*.py"))
    return {s.stem: s for s in scripts if "study" in top_level_names(s)}


def find_study(name: str) -> Path:
    """The script of a study.

    Raises:
      UnknownName: there is no such study; the message has the nearest names.
    """
    files = study_files()
    if name not in files:
        raise UnknownName(f"no study is called `{name}`. {nearest(name, files)}")
    return files[name]


def load_study(name: str) -> Study:
    """A study by its name, its script imported but not run."""
    return load_script(find_study(name), "studies").study


def load_script(path: Path, package: str) -> Any:
    """The module of a script, imported as `package.<its name>` but not run."""
    spec = importlib.util.spec_from_file_location(f"{package}.{path.stem}", path)
    assert spec is not None and spec.loader is not None  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def describe(name: str) -> Row:
    """Name, question, state of the results and expected minutes of a study, read from
    its script and results without running either."""
    path = find_study(name)
    question = ast.get_docstring(parsed(path)) or ""
    return {
        "name": name,
        "question": question.partition("\n")[0],
        "results": results_state(name),
        "minutes": top_level_names(path).get("MINUTES"),
    }


def results_state(name: str) -> str:
    """The devices that have full results of a study, with their row counts."""
    records = sorted(results_folder().glob(f"{name}/*/provenance.json"))
    states = []
    for record in records:
        told = json.loads(record.read_text())
        counts = ", ".join(
            f"{told[what]} {what if told[what] != 1 else what[:-1]}"
            for what in ("rows", "gaps")
        )
        states.append(f"{record.parent.name}: {counts}")
    return "; ".join(states) or "none yet"


def top_level_names(path: Path) -> dict:
    """Names a script assigns at its top level, with the value where it is a literal."""
    assigned = [node for node in parsed(path).body if isinstance(node, ast.Assign)]
    return {
        target.id: node.value.value if isinstance(node.value, ast.Constant) else None
        for node in assigned
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def parsed(path: Path) -> ast.Module:
    """A script's syntax tree."""
    return ast.parse(path.read_text(), str(path))
