"""IDX files: what is written comes back; what is not IDX is named as such."""

import gzip

import numpy as np
import pytest

from jaxbp.errors import DataError, DtypeMismatch
from jaxbp.problems import read_idx, write_idx

# images of 2x2 pixels as MNIST stores them, byte by byte from the format's text
MNIST_LIKE = bytes.fromhex("00000803 00000001 00000002 00000002 000102ff")


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", ["plain-idx", "packed-idx.gz"])
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 5), ()])
def test_round_trip(tmp_path, dtype, name, shape):
    array = (np.arange(np.prod(shape, dtype=int)) * 7 - 3).astype(dtype).reshape(shape)
    write_idx(tmp_path / name, array)
    found = read_idx(tmp_path / name)
    assert found.dtype == array.dtype and found.dtype.isnative
    assert found.shape == shape and np.array_equal(found, array)


def test_bytes_are_those_of_the_format(tmp_path):
    path = tmp_path / "images"
    image = np.array([[[0, 1], [2, 255]]], np.uint8)
    write_idx(path, image)
    assert path.read_bytes() == MNIST_LIKE
    path.write_bytes(gzip.compress(MNIST_LIKE))  # packed, without the name's ".gz"
    assert np.array_equal(read_idx(path), image)


def test_big_endian_elements(tmp_path):
    (tmp_path / "numbers").write_bytes(bytes.fromhex("00000b01 00000002 0102 fffe"))
    assert read_idx(tmp_path / "numbers").tolist() == [258, -2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MNIST_LIKE[:-1], r"is truncated: shape \(1, 2, 2\) of uint8 needs 4 bytes"),
        (MNIST_LIKE + b"\0", "is followed by other bytes.*the file has 5"),
        (MNIST_LIKE[:10], "3 axis lengths end at byte 16 but the file has 10"),
        (b"\0\0", "is truncated: an IDX header has 4 bytes"),
        (b"\x89PNG\r\n\x1a\n", "is not an IDX file.*starts with 89 50 4e 47"),
        (b"\0\0\x0a\x01\0\0\0\0", "is not an IDX file.*08 uint8"),
        (gzip.compress(MNIST_LIKE, mtime=0)[:-9], "damaged or truncated gzip"),
        (b"\x1f\x8b" + MNIST_LIKE, "cannot be read"),
    ],
)
def test_foreign_and_truncated_files_are_named(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "file")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent cannot be read"):
        read_idx(tmp_path / "absent")


def test_other_dtypes_are_refused(tmp_path):
    with pytest.raises(DtypeMismatch, match="dtype int64.*Convert it"):
        write_idx(tmp_path / "file", np.zeros(3, np.int64))


def test_too_long_an_axis_is_refused(tmp_path):
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (2**32,), (0,))
    with pytest.raises(DataError, match="cannot hold the shape"):
        write_idx(tmp_path / "file", huge)
