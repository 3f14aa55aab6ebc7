"""Faces on disk: a directory of sharded, memory-mapped NumPy arrays.

Layout (schema version 1), with shards numbered from 00000 and at most 65,536 rows a shard:

    images-00000.npy    uint8   [n, H, W]
    targets-00000.npy   float32 [n, 15, 2] (NaN = not annotated) or uint8 [n]
    split-00000.npy     uint8   [n]   0 train, 1 validation, 2 test, 255 not assigned yet
    row-00000.npy       int64   [n]   data row in the source, counted from 0
    subject-00000.npy   int64   [n]   the person shown; -1 = unknown
    faces.json          `FacesInfo`
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.faces.kinds import KindName
from emotion_ai.settings import StrictModel
from emotion_ai.storage.array_files import copy_rows, map_array
from emotion_ai.storage.atomic_files import create_private, make_private_folder

SHARD_ROWS = 65_536
TRAIN, VALIDATION, TEST, UNASSIGNED = 0, 1, 2, 255
# A folder without this file is not a faces artifact.
INFO_FILE = "faces.json"
ARRAYS = ("images", "targets", "split", "row", "subject")
# Reserved for the .npy header, which is written once the number of rows is known.
_HEADER_BYTES = 128


class FacesInfo(StrictModel):
    """The content of faces.json; `FacesWriter` fills in `rows`, `sha256` and `shards`."""

    schema_version: Literal[1] = 1
    kind: KindName
    label_set: str = ""
    labels: tuple[str, ...] = ()
    image_size: int
    source: str
    fingerprint: str
    # What the source calls splits 0, 1 and 2 ("Training", "PublicTest", ...).
    split_names: tuple[str, str, str] = ("train", "validation", "test")
    # Pixel mean and standard deviation of the train split; 0 until prepare has split the rows.
    mean: float = 0.0
    deviation: float = 0.0
    augmentation: dict[str, float] = {}
    counts: dict[str, int] = {}
    rows: int = 0
    shards: int = 0
    sha256: dict[str, str] = {}

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the targets: the emotions to learn, or the keypoints."""
        return self.labels or NAMES


@dataclass(frozen=True)
class Rows:
    """Rows of faces, as arrays with the same first dimension; see the module for the dtypes."""

    images: NDArray[np.uint8]
    targets: NDArray
    split: NDArray[np.uint8]
    row: NDArray[np.int64]
    subject: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray) -> "Rows":
        """Copy the rows at `index` (integer positions or a boolean mask)."""
        return Rows(*(np.asarray(getattr(self, name)[index]) for name in ARRAYS))


class Faces:
    """A faces artifact opened for reading; rows are loaded when they are indexed.

    Args:
        path: The folder with faces.json.

    Raises:
        InputError: The folder is not a complete faces artifact.

    Example:
        faces = Faces(path)
        train = faces.take(faces.positions(TRAIN))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            text = (self.path / INFO_FILE).read_text(encoding="utf-8")
            self.info = FacesInfo.model_validate_json(text)
            self._shards = [self._open_shard(shard) for shard in range(self.info.shards)]
            self._check_shards()
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: not a faces artifact: {error}") from None

    def _open_shard(self, shard: int) -> Rows:
        return Rows(*(map_array(self.path / f"{name}-{shard:05d}.npy") for name in ARRAYS))

    def _check_shards(self) -> None:
        """Raise `ValueError` if the arrays are not those that faces.json counts."""
        image, keypoints = (self.info.image_size,) * 2, (len(NAMES), 2)
        layouts: dict[str, dict[str, tuple[int, ...]]] = {
            "images": {"uint8": image},
            "targets": {"uint8": (), "float32": keypoints},
            "split": {"uint8": ()},
            "row": {"int64": ()},
            "subject": {"int64": ()},
        }
        for number, shard in enumerate(self._shards):
            rows = min(SHARD_ROWS, self.info.rows - number * SHARD_ROWS)
            for name, layout in layouts.items():
                array = getattr(shard, name)
                if array.shape != (rows, *layout.get(str(array.dtype), (-1,))):
                    raise ValueError(
                        f"{name}-{number:05d}.npy: {array.dtype} {array.shape} for {rows} faces"
                    )
        if len(self._shards) != -(-self.info.rows // SHARD_ROWS):
            raise ValueError(f"{self.info.rows} rows in {self.info.shards} shards")

    def __len__(self) -> int:
        return self.info.rows

    def shards(self) -> Iterator[Rows]:
        """Yield the shards in order, memory-mapped."""
        yield from self._shards

    def column(self, name: str) -> NDArray:
        """Return targets, split, row or subject of all rows, in memory."""
        if not self._shards:
            return np.empty(0)
        return np.concatenate([getattr(shard, name) for shard in self._shards])

    def positions(self, split: int) -> NDArray[np.int64]:
        """Return the positions of a split's rows, ascending."""
        return np.flatnonzero(self.column("split") == split)

    def take(self, index: NDArray) -> Rows:
        """Copy the rows at the positions `index` [n], in that order.

        Raises:
            IndexError: A position is negative or beyond the last row.
        """
        index = np.asarray(index, dtype=np.int64)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"{self.path}: position out of range of {len(self)} rows")
        parts, order = [], []
        for shard in range(len(self._shards)):
            in_shard = np.flatnonzero(index // SHARD_ROWS == shard)
            if len(in_shard):
                # Reading in file order keeps disk access sequential.
                in_shard = in_shard[np.argsort(index[in_shard], kind="stable")]
                parts.append(self._copy(shard, index[in_shard] - shard * SHARD_ROWS))
                order.append(in_shard)
        if not parts:
            return self._shards[0].take(index)
        inverse = np.argsort(np.concatenate(order), kind="stable")
        rows = Rows(*(np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS))
        return rows.take(inverse)

    def _copy(self, shard: int, index: NDArray[np.int64]) -> Rows:
        rows = self._shards[shard]
        columns = [np.asarray(getattr(rows, name)[index]) for name in ARRAYS[1:]]
        return Rows(copy_rows(cast(np.memmap, rows.images), index), *columns)


class FacesWriter:
    """Write faces in batches of any size.

    `faces.json` is written last, so an incomplete artifact is never read. A failure removes the
    arrays written so far.

    Args:
        path: The folder to write to; created if absent.
        info: Its faces.json; `rows`, `shards` and `sha256` are filled in.

    Raises:
        Unavailable: The folder cannot be written, for example because the disk is full.

    Example:
        with FacesWriter(path, info) as writer:
            for rows in batches:
                writer.append(rows)
    """

    def __init__(self, path: str | Path, info: FacesInfo) -> None:
        self.path = Path(path)
        with storage.translate_errors(str(self.path)):
            make_private_folder(self.path)
        self.info = info
        self._files: dict[str, BufferedRandom] = {}
        self._layout: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._rows_in_shard = 0
        self._rows = 0
        self._shards = 0
        self._sha256: dict[str, str] = {}

    def __enter__(self) -> "FacesWriter":
        return self

    def append(self, rows: Rows) -> None:
        """Append rows to those already written.

        Raises:
            ValueError: An array's dtype or row shape differs from that of earlier rows.
        """
        with storage.translate_errors(str(self.path)):
            self._append(rows)

    def _append(self, rows: Rows) -> None:
        start = 0
        while start < len(rows):
            if self._rows_in_shard == SHARD_ROWS:
                self._finish_shard()
            stop = min(len(rows), start + SHARD_ROWS - self._rows_in_shard)
            for name in ARRAYS:
                self._write(name, getattr(rows, name)[start:stop])
            self._rows_in_shard += stop - start
            self._rows += stop - start
            start = stop

    def _write(self, name: str, values: NDArray) -> None:
        layout = (values.dtype, values.shape[1:])
        if self._layout.setdefault(name, layout) != layout:
            raise ValueError(f"{name}: {values.dtype} {values.shape[1:]} after other rows")
        if name not in self._files:
            self._files[name] = create_private(self._shard_path(name))
            self._files[name].write(b"\0" * _HEADER_BYTES)
        self._files[name].write(np.ascontiguousarray(values).data)

    def _shard_path(self, name: str) -> Path:
        return self.path / f"{name}-{self._shards:05d}.npy"

    def _finish_shard(self) -> None:
        for name, file in self._files.items():
            dtype, row_shape = self._layout[name]
            file.seek(0)
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": (self._rows_in_shard, *row_shape),
            }
            np.lib.format.write_array_header_1_0(file, header)
            if file.tell() != _HEADER_BYTES:
                raise ValueError(f"{name}: .npy header of {file.tell()} bytes")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._sha256[self._shard_path(name).name] = digest
            file.close()
        self._files = {}
        self._shards += 1
        self._rows_in_shard = 0

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            with storage.translate_errors(str(self.path)):
                self._finish()
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        for file in self._files.values():
            # Closing flushes buffered data, which may fail again; the file is removed anyway.
            with contextlib.suppress(OSError):
                file.close()
        for name in [*self._sha256, *(Path(file.name).name for file in self._files.values())]:
            (self.path / name).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._files:
            self._finish_shard()
        update = {"rows": self._rows, "shards": self._shards, "sha256": self._sha256}
        final = self.info.model_copy(update=update).model_dump(mode="json")
        text = json.dumps(final, indent=1, sort_keys=True) + "\n"
        storage.write_bytes(str(self.path / INFO_FILE), text.encode())
