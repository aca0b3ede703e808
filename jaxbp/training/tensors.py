"""Arrays by name in a safetensors file: every dtype, written whole or not at all.

The format knows most dtypes. The others (complex128, int4, ...) are stored as their
bytes, with the name of the dtype in the file's metadata.

Source: https://huggingface.co/docs/safetensors, format 0.4.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from jaxbp.errors import DataError

_DTYPE_OF_TAG = {
    "BOOL": "bool", "BF16": "bfloat16", "F16": "float16", "F32": "float32",
    "F64": "float64", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
}  # fmt: skip
_HEADER = "jaxbp"


def write_tensors(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], header: Any
) -> None:
    """Write arrays and a header that JSON can hold; `path` is never half written.

    The file is written beside its place, flushed to the disk and renamed, so a crash
    or Ctrl-C leaves the previous file. Equal content gives equal bytes.
    """
    stored, dtypes = {}, {}
    for name, array in tensors.items():
        array = np.asarray(array, order="C")  # the writer copies memory as it lies
        if array.dtype.name not in _DTYPE_OF_TAG.values():
            dtypes[name] = array.dtype.name
            array = _as_bytes(array)
        stored[name] = array
    metadata = {_HEADER: json.dumps({"header": header, "dtypes": dtypes})}
    _replace(Path(path), safetensors.numpy.save(stored, metadata))


def _as_bytes(array):
    """(...) of any dtype -> (..., itemsize) uint8."""
    flat = np.frombuffer(array.tobytes(), np.uint8)
    return flat.reshape(*array.shape, array.dtype.itemsize)


def _replace(path, content):
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], Any]:
    """The arrays by name and the header that `write_tensors` wrote.

    Raises:
      DataError: no such file, one that is not safetensors or is truncated, or one
        that `write_tensors` did not write.
    """
    try:
        content = Path(path).read_bytes()
        named = dict(safetensors.deserialize(content))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    except safetensors.SafetensorError as error:
        raise DataError(
            f"{path} is not a safetensors file or is truncated: {error}."
        ) from error
    header = _read_header(content, path)
    tensors = {
        name: _decode(entry, header["dtypes"].get(name))
        for name, entry in named.items()
    }
    return tensors, header["header"]


def is_tensors(head: bytes) -> bool:
    """Whether a file that begins so may be safetensors: a length, and JSON."""
    return head[8:9] == b"{"


def _read_header(content, path):
    # eight bytes hold the length of the JSON header; `deserialize` has checked both
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    if _HEADER not in metadata:
        raise DataError(
            f"{path} is a safetensors file without the `{_HEADER}` header of a saved "
            f"state: it was written by another program."
        )
    return json.loads(metadata[_HEADER])


def _decode(entry, dtype_name):
    dtype_name = dtype_name or _DTYPE_OF_TAG[entry["dtype"]]
    dtype = np.dtype(getattr(ml_dtypes, dtype_name, dtype_name))
    shape = entry["shape"]
    itemsize_axis = entry["dtype"] == "U8" and dtype_name != "uint8"
    shape = shape[:-1] if itemsize_axis else shape
    return np.frombuffer(bytes(entry["data"]), dtype).reshape(shape)
