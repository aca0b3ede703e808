"""Where a result comes from: command, commit, versions, device, settings, date."""

import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax

import jaxbp
from jaxbp.study.base import Case, Options, Study
from jaxbp.study.grid import axis_values
from jaxbp.study.rows import fingerprint
from jaxbp.timing import DeviceFacts, device_roofs

PACKAGES = ("jaxbp", "jax", "jaxlib", "numpy", "optax")
SETTINGS = (
    "dtype",
    "precision",
    "seed",
    "rounds",
)  # of the cases, gathered for the record
# Files of the package that draw or talk and cannot change a measured number.
PRESENTATION = {
    *("answers.py", "catalogue.py", "main.py", "plots.py", "screen.py", "tables.py")
}


def study_fingerprint(study: Study, device: DeviceFacts) -> str:
    """Fingerprint of the code, versions and device that a row depends on."""
    package = Path(jaxbp.__file__).parent
    files = [f for f in package.rglob("*.py") if f.name not in PRESENTATION]
    facts = {
        "versions": versions(),
        "device": device.columns(),
        "x64": jax.config.jax_enable_x64,  # pyright: ignore
    }
    return fingerprint([*files, Path(study.file)], facts)


def record(
    study: Study,
    options: Options,
    device: DeviceFacts,
    cases: Sequence[Case],
    before: dict,
) -> dict:
    """What `provenance.json` says about a run, but for its rows.

    `before` holds what was noted before it: the repository's state, the load.
    """
    return {
        "study": study.name,
        "question": study.headline,
        "command": command_line(study, options),
        **before,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "device": device.columns(),
        **{name: values_of(cases, name) for name in SETTINGS},
    }


def roofs_of(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    """The device's measured roofs in each dtype and precision of some cases."""
    named = [case for case in cases if {"dtype", "precision"} <= set(case)]
    settings = dict.fromkeys((case["dtype"], case["precision"]) for case in named)
    found = {}
    for dtype, precision in settings:
        with jax.default_matmul_precision(precision):
            found[f"{dtype}, {precision}"] = device_roofs(dtype).columns()
    return found


def command_line(study: Study, options: Options) -> str:
    """The command that repeats a run, without this machine's paths."""
    flags = ["--quick"] * options.quick + ["--fresh"] * options.fresh
    device = ["--device", options.device] if options.device else []
    return " ".join(["jaxbp study", study.name, *flags, *device])


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a number may depend on."""
    return {"python": platform.python_version()} | {p: installed(p) for p in PACKAGES}


def installed(package: str) -> str:
    """A package's installed version; the source tree's where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "source tree"


def repository_state(folder: Path) -> dict:
    """The commit of the repository around `folder`, and whether files differ from it
    (results aside, which a run writes)."""
    commit = git(folder, "rev-parse", "HEAD")
    changed = git(folder, "status", "--porcelain", "--", ":/", ":(top,exclude)results")
    return {"commit": commit, "dirty": None if changed is None else bool(changed)}


def git(folder: Path, *words: str) -> str | None:
    """What git answers in `folder`, or None without git or repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def values_of(cases: Iterable[Case], name: str) -> list:
    """The different values that an entry takes over all cases, sorted."""
    return sorted({v for case in cases for v in axis_values(case.get(name, []))})
