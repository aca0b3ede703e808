"""IDX files, the format of MNIST: plain or gzip, every element type.

Layout: two zero bytes, one byte for the element type, one for the number of axes,
each axis length as a big-endian 32-bit integer, then the elements, big-endian, the
last axis fastest.

Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database", file format section.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from jaxbp.errors import DataError, DtypeMismatch

_GZIP_MAGIC = b"\x1f\x8b"
_DTYPE_OF_CODE = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an IDX file, in native byte order.

    Args:
      path: the file; gzip is recognised by its first bytes, whatever the name.

    Raises:
      DataError: no such file, a foreign or corrupt one, an unknown element type,
        or more or fewer bytes than the header announces.
    """
    content = _read_bytes(Path(path))
    dtype, shape, start = _parse_header(content, path)
    expected = math.prod(shape) * dtype.itemsize
    found = len(content) - start
    if found != expected:
        state = "truncated" if found < expected else "followed by other bytes"
        raise DataError(
            f"{path} is {state}: shape {shape} of {dtype.newbyteorder('=')} needs "
            f"{expected} bytes after the header but the file has {found}. Fetch or "
            f"write it again."
        )
    elements = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return elements.astype(dtype.newbyteorder("="))


def _read_bytes(path):
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == _GZIP_MAGIC else content
    except OSError as error:  # gzip.BadGzipFile is one
        raise DataError(f"{path} cannot be read: {error}.") from error
    except (EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is a damaged or truncated gzip file: {error}"
        ) from error


def _parse_header(content, path):
    """Element type, shape, and the offset of the first element."""
    if len(content) < 4:
        raise DataError(
            f"{path} is truncated: an IDX header has 4 bytes or more, the file has "
            f"{len(content)}."
        )
    zeros, code, axes = struct.unpack(">HBB", content[:4])
    if zeros != 0 or code not in _DTYPE_OF_CODE:
        known = ", ".join(f"{c:02x} {d.newbyteorder('=')}" for c, d in _codes())
        raise DataError(
            f"{path} is not an IDX file: it must start with 00 00 and an element type "
            f"({known}) but starts with {content[:4].hex(' ')}."
        )
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(
            f"{path} is truncated: {axes} axis lengths end at byte {start} but the "
            f"file has {len(content)} bytes."
        )
    return _DTYPE_OF_CODE[code], struct.unpack(f">{axes}I", content[4:start]), start


def _codes():
    return _DTYPE_OF_CODE.items()


def write_idx(path: str | os.PathLike, array: ArrayLike) -> None:
    """Write `array` as an IDX file, compressed when the name ends in ".gz".

    Raises:
      DtypeMismatch: IDX has no such element type (it has uint8, int8, int16, int32,
        float32 and float64).
      DataError: more than 255 axes or an axis of 2**32 entries or more.
    """
    array = np.asarray(array)
    big_endian = array.dtype.newbyteorder(">")
    code = next((c for c, dtype in _codes() if dtype == big_endian), None)
    if code is None:
        raise DtypeMismatch(
            f"`array` has dtype {array.dtype}; an IDX file holds uint8, int8, int16, "
            f"int32, float32 or float64. Convert it with `astype`."
        )
    if array.ndim > 255 or any(length >= 2**32 for length in array.shape):
        raise DataError(f"an IDX header cannot hold the shape {array.shape}.")
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    content = header + array.astype(big_endian).tobytes()
    compressed = Path(path).suffix == ".gz"
    Path(path).write_bytes(gzip.compress(content, mtime=0) if compressed else content)
