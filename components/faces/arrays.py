"""Faces on disk: a directory of sharded NumPy arrays, memory-mapped by whoever reads them.

Layout (schema version 1), shard numbers from 00000, at most 65,536 rows a shard:

    images-00000.npy    uint8   [n, H, W]
    targets-00000.npy   float32 [n, 15, 2] (NaN = not annotated) or uint8 [n]
    split-00000.npy     uint8   [n]   0 train, 1 validation, 2 test, 255 not assigned yet
    row-00000.npy       int64   [n]   data row in the source, counted from 0
    subject-00000.npy   int64   [n]   who is shown; -1 = unknown
    faces.json          `FacesInfo`
"""

import contextlib
import hashlib
import itertools
import json
import os
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

SHARD_ROWS = 65_536
TRAIN, VALIDATION, TEST, UNASSIGNED = 0, 1, 2, 255
# Without this file the folder is no faces artifact.
INFO_FILE = "faces.json"
ARRAYS = ("images", "targets", "split", "row", "subject")
# Room for the .npy header that is written once the number of rows is known.
_HEADER_BYTES = 128


class FacesInfo(StrictModel):
    """What stands in faces.json; `rows`, `sha256` and `shards` are filled in by the writer."""

    schema_version: Literal[1] = 1
    kind: KindName
    label_set: str = ""
    labels: tuple[str, ...] = ()
    image_size: int
    source: str
    fingerprint: str
    # Names of splits 0, 1, 2 as the source calls them ("Training", "PublicTest", ...).
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
        """What a row can carry: the emotions to learn, or the keypoints."""
        return self.labels or NAMES


@dataclass(frozen=True)
class Rows:
    """Some rows of faces: arrays that agree in their first dimension (see the module's layout)."""

    images: NDArray[np.uint8]
    targets: NDArray
    split: NDArray[np.uint8]
    row: NDArray[np.int64]
    subject: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray) -> "Rows":
        """The rows at `index` (integer positions or a boolean mask), copied."""
        return Rows(*(np.asarray(getattr(self, name)[index]) for name in ARRAYS))


class Faces:
    """Faces opened for reading; nothing is in memory until it is indexed.

    Example:
        faces = Faces(path)
        train = faces.take(np.flatnonzero(faces.column("split") == TRAIN))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            text = (self.path / INFO_FILE).read_text()
            self.info = FacesInfo.model_validate_json(text)
            self._shards = [self._open(k) for k in range(self.info.shards)]
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: not a faces artifact: {error}") from None

    def _open(self, shard: int) -> Rows:
        return Rows(
            *(np.load(self.path / f"{name}-{shard:05d}.npy", mmap_mode="r") for name in ARRAYS)
        )

    def __len__(self) -> int:
        return self.info.rows

    def shards(self) -> Iterator[Rows]:
        """The shards in order, memory-mapped."""
        yield from self._shards

    def column(self, name: str) -> NDArray:
        """One of targets, split, row or subject, whole."""
        if not self._shards:
            return np.empty(0)
        return np.concatenate([getattr(shard, name) for shard in self._shards])

    def take(self, index: NDArray) -> Rows:
        """Copy the rows at the given positions, in the order asked for.

        Raises `IndexError` for a position below 0 or beyond the last row.
        """
        index = np.asarray(index, dtype=np.int64)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"{self.path}: position out of range of {len(self)} rows")
        parts, order = [], []
        for number in range(len(self._shards)):
            here = np.flatnonzero(index // SHARD_ROWS == number)
            if len(here):
                # Reading in file order keeps the disk sequential.
                here = here[np.argsort(index[here], kind="stable")]
                parts.append(self._copy(number, index[here] - number * SHARD_ROWS))
                order.append(here)
        if not parts:
            return self._shards[0].take(index)
        back = np.argsort(np.concatenate(order), kind="stable")
        whole = Rows(*(np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS))
        return whole.take(back)

    def _copy(self, number: int, index: NDArray[np.int64]) -> Rows:
        shard = self._shards[number]
        columns = [np.asarray(getattr(shard, name)[index]) for name in ARRAYS[1:]]
        return Rows(self._read_images(number, index), *columns)

    def _read_images(self, number: int, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images at ascending positions of a shard.

        Read, not copied out of the mapping: a process keeps the pages that it has touched there,
        and few faces here and there touch nearly all of them.
        """
        mapped = cast(np.memmap, self._shards[number].images)
        images = np.empty((len(index), *mapped.shape[1:]), dtype=np.uint8)
        size = mapped.strides[0]
        runs = np.flatnonzero(np.diff(index, prepend=-2) != 1)
        places = (mapped.offset + size * index[runs]).tolist()
        with (
            open(self.path / f"images-{number:05d}.npy", "rb", buffering=0) as file,
            images.data.cast("B") as data,
        ):
            bounds = itertools.pairwise([*(size * runs).tolist(), len(data)])
            for place, (start, stop) in zip(places, bounds, strict=True):
                if os.preadv(file.fileno(), [data[start:stop]], place) != stop - start:
                    raise InputError(f"{file.name}: shorter than its header says; make it anew")
        return images

    def positions(self, split: int) -> NDArray[np.int64]:
        """Positions of a split's rows, ascending."""
        return np.flatnonzero(self.column("split") == split)


class FacesWriter:
    """Write faces in batches of any size; `faces.json` appears last, so a half is never whole.

    A failure removes what was written. Raises `Unavailable` where it cannot be, on a full disk say.

    Example:
        with FacesWriter(path, info) as writer:
            for rows in batches:
                writer.append(rows)
    """

    def __init__(self, path: str | Path, info: FacesInfo) -> None:
        self.path = Path(path)
        with storage.failures(str(self.path)):
            self.path.mkdir(parents=True, exist_ok=True)
        self.info = info
        self._files: dict[str, BufferedRandom] = {}
        self._layout: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._in_shard = 0
        self._rows = 0
        self._shards = 0
        self._sha256: dict[str, str] = {}

    def __enter__(self) -> "FacesWriter":
        return self

    def append(self, rows: Rows) -> None:
        """Add rows after those already written."""
        with storage.failures(str(self.path)):
            self._append(rows)

    def _append(self, rows: Rows) -> None:
        start = 0
        while start < len(rows):
            if self._in_shard == SHARD_ROWS:
                self._finish_shard()
            stop = min(len(rows), start + SHARD_ROWS - self._in_shard)
            for name in ARRAYS:
                self._write(name, getattr(rows, name)[start:stop])
            self._in_shard += stop - start
            self._rows += stop - start
            start = stop

    def _write(self, name: str, values: NDArray) -> None:
        if name not in self._files:
            file = open(self._file(name), "wb+")  # noqa: SIM115 - closed with its shard
            file.write(b"\0" * _HEADER_BYTES)
            self._files[name] = file
            self._layout[name] = (values.dtype, values.shape[1:])
        if self._layout[name] != (values.dtype, values.shape[1:]):
            raise ValueError(f"{name}: {values.dtype} {values.shape[1:]} after other rows")
        self._files[name].write(np.ascontiguousarray(values).data)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}-{self._shards:05d}.npy"

    def _finish_shard(self) -> None:
        for name, file in self._files.items():
            dtype, inner = self._layout[name]
            file.seek(0)
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": (self._in_shard, *inner),
            }
            np.lib.format.write_array_header_1_0(file, header)
            if file.tell() != _HEADER_BYTES:
                raise ValueError(f"{name}: .npy header of {file.tell()} bytes")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._sha256[self._file(name).name] = digest
            file.close()
        self._files = {}
        self._shards += 1
        self._in_shard = 0

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
            with storage.failures(str(self.path)):
                self._finish()
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        names = [*self._sha256, *(Path(file.name).name for file in self._files.values())]
        for file in self._files.values():
            # What is left to write no longer matters.
            with contextlib.suppress(OSError):
                file.close()
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._files:
            self._finish_shard()
        update = {"rows": self._rows, "shards": self._shards, "sha256": self._sha256}
        final = self.info.model_copy(update=update).model_dump(mode="json")
        text = json.dumps(final, indent=1, sort_keys=True) + "\n"
        storage.write_bytes(str(self.path / INFO_FILE), text.encode())
