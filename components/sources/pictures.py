"""Faces out of picture files, in a folder, in a zip or in Cloud Storage: blocks as of a CSV's rows.

What is in memory is the list of names, a hundred bytes or so a file, and a block of small faces.
"""

import contextlib
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Rows
from emotion_ai.faces.kinds import EXPRESSION, KindName
from emotion_ai.faces.labels import label_set_names
from emotion_ai.faces.picture_files import PictureError, formats, read_picture
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import BLOCK_ROWS, BadRow, Block
from emotion_ai.sources.folders import (
    ALL_EMOTIONS,
    SPLIT_FOLDERS,
    is_visible,
    order_pictures,
    place_of,
)
from emotion_ai.sources.zip_archive import MAGIC, open_zip

MAX_PICTURE_BYTES = 16 * 1024 * 1024
# A request to Cloud Storage takes tens of milliseconds, nearly all of them spent waiting.
_REMOTE_READERS = 8


class Pictures(NamedTuple):
    """The picture files of a source, in the order of its data rows."""

    source: str
    label_set: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    readers: int


@contextlib.contextmanager
def open_pictures(source: str, kind: KindName, label_set: str) -> Iterator[Pictures | None]:
    """The pictures of a folder or a zip of one; None where the source is a file of another kind.

    Raises `InputError` for pictures where keypoints are wanted and as `order_pictures` does.
    """
    if storage.is_folder(source):
        _check_kind(source, kind)
        yield _in_folder(source, label_set)
    elif _is_zip_of_pictures(source):
        _check_kind(source, kind)
        with _local_copy(source) as file, open_zip(source, file) as archive:
            yield _in_zip(source, label_set, archive)
    else:
        yield None


def read_pictures(pictures: Pictures, checks: DataChecks) -> Iterator[Block]:
    """Yield the pictures as faces in order, at most `BLOCK_ROWS` at a time.

    A file that is no picture, over `MAX_PICTURE_BYTES` or in no emotion's folder is a bad row.
    Raises `InputError` where there are more than `checks.max_rows` files.
    """
    if len(pictures.names) > checks.max_rows:
        raise InputError(
            f"{pictures.source}: more than {checks.max_rows} files; raise max_rows in the data "
            "checks to read it"
        )
    contents = _read_ahead(pictures)
    for start in range(0, len(pictures.names), BLOCK_ROWS):
        yield _read_block(pictures, start, contents)


def first_of_each_emotion(pictures: Pictures) -> Pictures:
    """The first file of each emotion, as a source of their own."""
    first: dict[str, str] = {}
    for name in pictures.names:
        place = place_of(name, label_set_names(pictures.label_set))
        if place is not None:
            first.setdefault(place.emotion, name)
    return pictures._replace(names=list(first.values()))


def _read_ahead(pictures: Pictures) -> Iterator[Callable[[], bytes]]:
    """For each file in order what gives its content; `readers` of them are in memory at once."""
    if pictures.readers == 1:
        # Handing a local file to a thread takes longer than reading it.
        for name in pictures.names:
            yield partial(pictures.read, name)
        return
    with ThreadPoolExecutor(pictures.readers) as readers:
        ahead: deque[Callable[[], bytes]] = deque()
        for name in pictures.names:
            ahead.append(readers.submit(pictures.read, name).result)
            if len(ahead) == pictures.readers:
                yield ahead.popleft()
        yield from ahead


def _read_block(pictures: Pictures, start: int, contents: Iterator[Callable[[], bytes]]) -> Block:
    labels = label_set_names(pictures.label_set)
    names = pictures.names[start : start + BLOCK_ROWS]
    size = EXPRESSION.image_size
    images = np.zeros((len(names), size, size), dtype=np.uint8)
    codes = np.zeros(len(names), dtype=np.uint8)
    splits = np.zeros(len(names), dtype=np.uint8)
    bad = {}
    for k, (name, content) in enumerate(zip(names, contents, strict=False)):
        try:
            place = place_of(name, labels)
            if place is None:
                raise PictureError("in no emotion's folder")
            images[k], _ = read_picture(content(), size, formats())
        except PictureError as error:
            bad[k] = BadRow(start + k, 0, "", "malformed_row", str(error), name)
        else:
            codes[k] = labels.index(place.emotion)
            splits[k] = place.split
    good = np.array([k for k in range(len(names)) if k not in bad], dtype=np.int64)
    subjects = np.full(len(good), -1, dtype=np.int64)
    rows = Rows(images[good], codes[good], splits[good], start + good, subjects)
    return Block(rows, list(bad.values()), len(names))


def _check_kind(source: str, kind: KindName) -> None:
    if kind != EXPRESSION.name:
        raise InputError(f"{source}: pictures carry no {kind}; expected a CSV")


def _in_folder(source: str, label_set: str) -> Pictures:
    entries = (entry.name for entry in storage.walk(source))
    names = order_pictures(source, entries, label_set_names(label_set))

    def read(name: str) -> bytes:
        try:
            return storage.read_bytes(storage.join(source, name), MAX_PICTURE_BYTES)
        except InputError as error:
            raise PictureError(str(error)) from None

    readers = _REMOTE_READERS if storage.is_remote(source) else 1
    return Pictures(source, label_set, names, read, readers)


def _in_zip(source: str, label_set: str, archive: zipfile.ZipFile) -> Pictures:
    files = _files(archive)
    root = _root(files)
    members = {name.removeprefix(root): name for name in files}
    names = order_pictures(source, members, label_set_names(label_set))

    def read(name: str) -> bytes:
        try:
            with archive.open(members[name]) as file, storage.translate_errors(source):
                data = file.read(MAX_PICTURE_BYTES + 1)
        except (EOFError, zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
            raise PictureError(f"damaged: {error}") from None
        if len(data) > MAX_PICTURE_BYTES:
            raise PictureError(f"larger than {MAX_PICTURE_BYTES} bytes")
        return data

    return Pictures(source, label_set, names, read, 1)


def _is_zip_of_pictures(source: str) -> bool:
    with storage.open_binary(source) as file, storage.translate_errors(source):
        if file.read(len(MAGIC)) != MAGIC:
            return False
        file.seek(0)
        with open_zip(source, file) as archive:
            files = _files(archive)
            return not any(name.lower().endswith(".csv") for name in files) and any(
                "/" in name for name in files
            )


def _files(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if is_visible(name) and not name.endswith("/")]


def _root(names: Sequence[str]) -> str:
    """The folder that was packed, "fer/", where all of the zip lies in one; else ""."""
    tops = {name.split("/")[0].lower() for name in names}
    if len(tops) > 1 or tops & ({*SPLIT_FOLDERS} | ALL_EMOTIONS):
        return ""
    return names[0].split("/")[0] + "/"


@contextlib.contextmanager
def _local_copy(source: str) -> Iterator[BinaryIO]:
    """The file, or a copy on this disk of a remote one: its members are read in any order."""
    if not storage.is_remote(source):
        with storage.open_binary(source) as file:
            yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.zip")
        storage.download(source, copy)
        with open(copy, "rb") as file:
            yield file
