"""`results/README.md`: every study's answer in a sentence, computed from its rows."""

from pathlib import Path

from jaxbp.outputs import writing
from jaxbp.study import tables
from jaxbp.study.base import Row, Study
from jaxbp.study.catalogue import load_study, study_files
from jaxbp.study.unstable import steady

FILE = "README.md"
HEAD = """# Results

Each answer is computed from the rows of the table it links to, by the study that
measured them: `jaxbp study NAME --redraw` writes it again. Times are medians on the
device that the folder names; ratios are of runs taken in turn. The classic systems have
[a gallery of their own](../studies/classics/README.md).
"""


def answer(study: Study, rows: list[Row]) -> str:
    """The study's claim, from the rows that are steady; of one that counts, from all:
    its times it takes from the steady ones itself. Empty for one that makes none, or
    where the rows that its sentence needs are not there."""
    try:
        return (
            study.claim(rows if study.counts else steady(rows)) if study.claim else ""
        )
    except (KeyError, IndexError, ValueError, StopIteration):  # no such row
        return ""


def write_index(results: Path) -> Path:
    """Write the file that has all studies' answers, from the rows in `results`."""
    parts = [HEAD.rstrip()]
    for name in study_files():
        for file in sorted(results.glob(f"{name}/*/rows.csv")):
            parts.append(section(load_study(name), file, results))
    with writing("results", results / FILE):
        (results / FILE).write_text("\n\n".join(parts) + "\n")
    return results / FILE


def section(study: Study, file: Path, results: Path) -> str:
    """Question, answer, table and picture of one study on one device."""
    folder = file.parent.relative_to(results).as_posix()
    told = answer(study, tables.read_csv(file.read_text()))
    where = f"[{study.name}, {file.parent.name}]({folder}/table.md)"
    picture = f"![{study.headline}]({folder}/figure.png)"
    return "\n\n".join([f"## {study.headline}", f"{told} ({where})", picture])
