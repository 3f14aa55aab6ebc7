"""Read NumPy's array files that somebody else may have made or damaged: `.npy` and `.npz`.

NumPy believes a header: one of 128 bytes can ask for terabytes. Here it is compared with the bytes
that are there before any memory is taken.
"""

import io
import itertools
import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotion_ai.errors import InputError

# NumPy's own. Python's decompressors of the others have no limit on what a few bytes expand to.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What NumPy, Python's parser, and zipfile raise for damaged bytes.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def unpack_arrays(data: bytes, limit: int) -> dict[str, NDArray]:
    """Unpack the content of an .npz file.

    Args:
        data: The content.
        limit: The most bytes that it may unpack to.

    Returns:
        The arrays by name.

    Raises:
        ValueError: It is no .npz file, is damaged, holds pickled objects, or unpacks to more than
            `limit`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if any(member.compress_type not in _METHODS for member in members):
                raise ValueError("packed otherwise than NumPy does")
            if sum(member.file_size for member in members) > limit:
                raise ValueError(f"it unpacks to more than {limit} bytes")
            return {
                member.filename.removesuffix(".npy"): _parse(archive.read(member))
                for member in members
            }
    except _DAMAGE as error:
        raise ValueError(f"damaged arrays: {error}") from None


def map_array(path: Path) -> NDArray[Any]:
    """Map an .npy file into memory, for reading.

    Raises:
        ValueError: It is no .npy file, or is damaged.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        try:
            _check_header(file, path.stat().st_size)
        except _DAMAGE as error:
            raise ValueError(f"{path.name}: damaged array: {error}") from None
    return np.asanyarray(np.load(path, mmap_mode="r"))


def copy_rows(mapped: np.memmap, index: NDArray[np.int64]) -> NDArray[Any]:
    """Copy rows of a mapped .npy file.

    They are read and not copied from the mapping: a process keeps the mapped pages that it has
    touched, and a few scattered faces touch nearly all of them.

    Args:
        mapped: The array in its file, see `map_array`.
        index: Positions of rows, ascending.

    Raises:
        InputError: The file has become shorter.
        OSError: The file cannot be read.
    """
    rows = np.empty((len(index), *mapped.shape[1:]), mapped.dtype)
    size = mapped.strides[0]
    runs = np.flatnonzero(np.diff(index, prepend=-2) != 1)
    offsets = (mapped.offset + size * index[runs]).tolist()
    path = Path(str(mapped.filename))
    with path.open("rb", buffering=0) as file, rows.data.cast("B") as data:
        bounds = itertools.pairwise([*(size * runs).tolist(), len(data)])
        for offset, (start, stop) in zip(offsets, bounds, strict=True):
            if os.preadv(file.fileno(), [data[start:stop]], offset) != stop - start:
                raise InputError(f"{path}: shorter than its header says; make it anew")
    return rows


def _parse(content: bytes) -> NDArray[Any]:
    file = io.BytesIO(content)
    _check_header(file, len(content))
    file.seek(0)
    return np.asanyarray(np.lib.format.read_array(file, allow_pickle=False))


def _check_header(file: BinaryIO, size: int) -> None:
    """Raise `ValueError` if the array in a file is not as long as its header says."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    there = size - file.tell()
    # Without bytes too: loops over the rows of an empty array would not end.
    if math.prod(shape) * dtype.itemsize != there or max(shape, default=0) > size:
        raise ValueError(f"shape {shape} of {dtype} is not that of the {there} bytes there")
