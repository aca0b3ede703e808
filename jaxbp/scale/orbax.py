"""Arrays of all processes in one folder, by Orbax: written by each its own part.

A save is a new numbered folder inside, complete when it gets its name; the one before
is removed after that, so that a kill at any moment leaves the last good state. It is
read on another mesh and by another number of processes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import DataError, DtypeMismatch, InvalidArgument, ShapeMismatch
from ..errors import StructureMismatch

KEPT = 2  # complete saves in the folder: the last, and the one before while it is made


def needs_orbax() -> Any:
    """The module `orbax.checkpoint`.

    Raises:
      InvalidArgument: it is not installed.
    """
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise InvalidArgument(
            "a folder for the state of several devices needs orbax-checkpoint, which "
            "is not installed: `pip install jaxbp[scale]`. A path with a suffix, as "
            "state.safetensors, is one file, which the first process writes."
        ) from error
    return orbax.checkpoint


def write_folder(path: str | os.PathLike, named: Mapping[str, Any], about: Any) -> None:
    """Save arrays by name, and what JSON can hold, as the newest in the folder.

    All processes call it together, with arrays that each holds its part of.
    """
    ocp = needs_orbax()
    with _manager(ocp, path) as manager:
        steps = manager.all_steps()
        leaves = {_place(i): leaf for i, leaf in enumerate(named.values())}
        told = {"names": list(named), "about": about}
        manager.save(
            max(steps, default=0) + 1,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardSave(leaves),
                told=ocp.args.JsonSave({"text": json.dumps(told)}),
            ),
        )
        manager.wait_until_finished()


def has_state(path: str | os.PathLike) -> bool:
    """Whether a folder holds a complete save."""
    folder = Path(path)
    return folder.is_dir() and any(p.name.isdigit() for p in folder.iterdir())


def read_about(path: str | os.PathLike) -> tuple[Sequence[str], Any]:
    """The names of the newest save's arrays and what JSON held.

    Raises:
      DataError: there is no complete save, or another program wrote it.
    """
    ocp = needs_orbax()
    with _manager(ocp, path) as manager:
        step = _latest(manager, path)
        try:
            found = manager.restore(
                step, args=ocp.args.Composite(told=ocp.args.JsonRestore())
            )
            told = json.loads(found["told"]["text"])
            return told["names"], told["about"]
        except (KeyError, ValueError, TypeError, FileNotFoundError) as error:
            raise DataError(
                f"{path} holds no state that this program saved: {error}."
            ) from error


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
    names, _ = read_about(path)
    lacking = set(like) ^ set(names)
    if lacking:
        raise StructureMismatch(
            f"{path} does not fit: leaf `{min(lacking)}` is in the "
            f"{'structure' if min(lacking) in like else 'folder'} only ({len(lacking)} "
            "such). Load into the model, optimiser and options that were saved."
        )
    ocp = needs_orbax()
    with _manager(ocp, path) as manager:
        step = _latest(manager, path)
        _check(path, names, like, _types(ocp, manager, step))
        wanted = {_place(i): like[name] for i, name in enumerate(names)}
        restored = manager.restore(
            step, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(wanted))
        )["arrays"]
    return {name: restored[_place(i)] for i, name in enumerate(names)}


def _manager(ocp, path):
    options = ocp.CheckpointManagerOptions(
        max_to_keep=KEPT, enable_async_checkpointing=False, create=True
    )
    return ocp.CheckpointManager(Path(path).absolute(), options=options)


def _latest(manager, path) -> int:
    step = manager.latest_step()
    if step is None:
        raise DataError(f"{path} holds no complete state.")
    return step


def _place(index: int) -> str:
    return f"{index:05d}"  # names of leaves have characters that paths may not have


def _types(ocp, manager, step) -> dict[str, Any]:
    found = manager.item_metadata(step)["arrays"]
    return dict(getattr(found, "tree", found))


def _check(path, names, like, types) -> None:
    for place, name in enumerate(names):
        found, wanted = types[_place(place)], like[name]
        for error, what in ((ShapeMismatch, "shape"), (DtypeMismatch, "dtype")):
            have, want = getattr(found, what), getattr(wanted, what)
            have = tuple(have) if what == "shape" else np.dtype(have)
            if have != want:
                raise error(
                    f"{path}: leaf `{name}` must have {what} {want} but has {have}."
                )
