"""Arrays of all processes in one folder, by Orbax: written by each its own part.

A save is a new numbered folder inside, complete when it gets its name; the one before
is removed after that, so that a kill at any moment leaves the last good state. It is
read on another mesh and by another number of processes.
"""

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from ..errors import (
    DataError,
    DtypeMismatch,
    InvalidArgument,
    ShapeMismatch,
    StructureMismatch,
)

KEPT = 2  # complete saves in the folder: the last, and the one before while it is made


def needs_orbax() -> Any:
    """The module `orbax.checkpoint`.

    Raises:
      InvalidArgument: it is not installed.
    """
    try:
        return importlib.import_module("orbax.checkpoint")
    except ImportError as error:
        raise InvalidArgument(
            "a folder for the state of several devices needs orbax-checkpoint, which "
            "is not installed: `pip install jaxbp[scale]`. A path with a suffix, as "
            "state.safetensors, is one file, which the first process writes."
        ) from error


def write_folder(path: str | os.PathLike, named: Mapping[str, Any], about: Any) -> None:
    """Save arrays by name, and what JSON can hold, as the newest in the folder.

    All processes call it together, with arrays that each holds its part of.
    """
    ocp = needs_orbax()
    with _manager(ocp, path) as manager:
        steps = manager.all_steps()
        leaves = {_place(i): leaf for i, leaf in enumerate(named.values())}
        types = [[list(leaf.shape), str(leaf.dtype)] for leaf in named.values()]
        told = {"names": list(named), "types": types, "about": about}
        manager.save(
            max(steps, default=0) + 1,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave(leaves),
                told=ocp.args.JsonSave({"text": json.dumps(told)}),
            ),
        )
        manager.wait_until_finished()


def has_state(path: str | os.PathLike) -> bool:
    """Whether a folder holds a complete save; all processes ask together."""
    if not Path(path).is_dir() or not any(Path(path).iterdir()):
        return False
    with _manager(needs_orbax(), path) as manager:
        return manager.latest_step() is not None


def read_about(path: str | os.PathLike) -> Any:
    """What JSON held of the newest save.

    Raises:
      DataError: there is no complete save, or another program wrote it.
    """
    ocp = needs_orbax()
    with _manager(ocp, path) as manager:
        return _told(ocp, manager, path)["about"]


def read_folder(
    path: str | os.PathLike, like: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
    """The newest save's arrays, by name, where the types' shardings say.

    Args:
      like: types with shapes, dtypes and shardings, of any mesh.

    Raises:
      DataError: no complete save, a damaged or a foreign one.
      StructureMismatch, ShapeMismatch, DtypeMismatch: an array is missing or differs.
    """
    ocp = needs_orbax()
    with _manager(ocp, path) as manager:
        told = _told(ocp, manager, path)
        names = told["names"]
        _check(path, dict(zip(names, told["types"], strict=True)), like)
        wanted = {_place(i): like[name] for i, name in enumerate(names)}
        found = manager.restore(
            manager.latest_step(),
            args=ocp.args.Composite(arrays=ocp.args.StandardRestore(wanted)),
        )["arrays"]
    return {name: found[_place(i)] for i, name in enumerate(names)}


def _manager(ocp, path):
    options = ocp.CheckpointManagerOptions(
        max_to_keep=KEPT, enable_async_checkpointing=False, create=True
    )
    handlers = {
        "arrays": ocp.StandardCheckpointHandler(),
        "told": ocp.JsonCheckpointHandler(),
    }
    return ocp.CheckpointManager(
        Path(path).absolute(), options=options, item_handlers=handlers
    )


def _told(ocp, manager, path) -> Any:
    step = manager.latest_step()
    if step is None:
        raise DataError(f"{path} holds no complete state.")
    try:
        wanted = ocp.args.Composite(told=ocp.args.JsonRestore())
        told = json.loads(manager.restore(step, args=wanted)["told"]["text"])
        return {name: told[name] for name in ("names", "types", "about")}
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(
            f"{path} holds no state that this program saved: {error}."
        ) from error


def _place(index: int) -> str:
    return f"{index:05d}"  # names of leaves have characters that paths may not have


def _check(path, found: Mapping[str, Sequence], like: Mapping[str, Any]) -> None:
    """Raises unless the arrays found are those asked for."""
    lacking = set(like) ^ set(found)
    if lacking:
        name = min(lacking)
        raise StructureMismatch(
            f"{path} does not fit: leaf `{name}` is in the "
            f"{'structure' if name in like else 'folder'} only ({len(lacking)} such). "
            "Load into the model, optimiser and options that were saved."
        )
    for name, wanted in like.items():
        shape, dtype = found[name]
        for error, what, have, want in (
            (ShapeMismatch, "shape", tuple(shape), tuple(wanted.shape)),
            (DtypeMismatch, "dtype", dtype, str(wanted.dtype)),
        ):
            if have != want:
                raise error(
                    f"{path}: leaf `{name}` must have {what} {want} but has {have}."
                )
