"""Read faces from picture files in a folder, a zip or Cloud Storage, in blocks like a CSV's.

The list of names (about a hundred bytes a file) and one block of small faces are in memory.
"""

import contextlib
import tempfile
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Rows
from emotion_ai.faces.kinds import EXPRESSION, KindName
from emotion_ai.faces.labels import EmotionReader
from emotion_ai.faces.picture_files import PictureError, formats, has_picture_suffix, read_picture
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import BLOCK_ROWS, BadRow, Block
from emotion_ai.sources.file_formats import refuse_other_zips
from emotion_ai.sources.folders import (
    check_emotions,
    is_label,
    is_no_picture,
    is_visible,
    parse_folders,
    sort_pictures,
)
from emotion_ai.sources.zip_archive import ZIP_MAGIC, open_zip, visible_members

MAX_PICTURE_BYTES = 16 * 1024 * 1024
# A request to Cloud Storage takes tens of milliseconds, nearly all of it waiting.
_REMOTE_READER_COUNT = 8


class Pictures(NamedTuple):
    """The picture files of an open source, in the order of its data rows.

    Attributes:
        source: What messages call the source.
        emotions: The label set of the folders' names.
        names: The files' paths in the source.
        read: Returns the content of the file with this path.
        reader_count: How many files to read at the same time.
        skipped: The files that are no pictures, as their names say.
    """

    source: str
    emotions: EmotionReader
    names: Sequence[str]
    read: Callable[[str], bytes]
    reader_count: int
    skipped: Sequence[str] = ()


@contextlib.contextmanager
def open_pictures(
    source: str, kind: KindName, emotions: EmotionReader
) -> Iterator[Pictures | None]:
    """Open the pictures of a folder, or of a zip of a folder.

    Args:
        source: A path, `file://` or `gs://` URI.
        kind: The expected kind of faces; pictures hold expressions only.
        emotions: The label set of the folders' names.

    Yields:
        The pictures, or None if the source is another kind of file.

    Raises:
        InputError: Keypoints are expected, the zip is damaged, or the folders are invalid, see
            `sort_pictures`.
        Unavailable: The storage failed.
    """
    if storage.is_folder(source):
        _check_kind(source, kind)
        yield _folder_pictures(source, emotions)
    elif _is_zip_of_pictures(source):
        _check_kind(source, kind)
        with _open_local_copy(source) as file, open_zip(source, file) as archive:
            yield _zip_pictures(source, emotions, archive)
    else:
        yield None


def read_pictures(pictures: Pictures, checks: DataChecks) -> Iterator[Block]:
    """Yield the pictures as faces in order, at most `BLOCK_ROWS` at a time.

    A file that is no picture, is over `MAX_PICTURE_BYTES` or is in no emotion's folder is a bad
    row.

    Args:
        pictures: The open pictures.
        checks: `max_rows` applies here.

    Yields:
        Blocks of uint8 images [n, 48, 48], with targets uint8 [n].

    Raises:
        InputError: There are more than `checks.max_rows` files.
        Unavailable: The storage failed.
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
    """Return the first file of each emotion only."""
    first: dict[str, str] = {}
    for name in pictures.names:
        labels = parse_folders(name)
        if labels is not None:
            first.setdefault(labels.emotion, name)
    return pictures._replace(names=list(first.values()))


def _read_ahead(pictures: Pictures) -> Iterator[Callable[[], bytes]]:
    """Yield a function for each file in order that returns its content, read ahead if remote."""
    if pictures.reader_count == 1:
        # Handing a local file to a thread takes longer than reading it.
        for name in pictures.names:
            yield partial(pictures.read, name)
        return
    with ThreadPoolExecutor(pictures.reader_count) as pool:
        ahead: deque[Callable[[], bytes]] = deque()
        for name in pictures.names:
            ahead.append(pool.submit(pictures.read, name).result)
            if len(ahead) == pictures.reader_count:
                yield ahead.popleft()
        yield from ahead


def _read_block(pictures: Pictures, start: int, contents: Iterator[Callable[[], bytes]]) -> Block:
    names = pictures.names[start : start + BLOCK_ROWS]
    size = EXPRESSION.image_size
    images = np.zeros((len(names), size, size), dtype=np.uint8)
    codes = np.zeros(len(names), dtype=np.uint8)
    splits = np.zeros(len(names), dtype=np.uint8)
    bad = {}
    emotion_words: Counter[tuple[str, int]] = Counter()
    split_words: Counter[str] = Counter()
    for k, (name, content) in enumerate(zip(names, contents, strict=False)):
        try:
            labels = parse_folders(name)
            if labels is None:
                raise PictureError("in no emotion's folder")
            images[k], _ = read_picture(content(), size, formats())
        except PictureError as error:
            bad[k] = BadRow(start + k, 0, "", "malformed_row", str(error), name)
        else:
            # An emotion without a code was refused when the source was opened.
            codes[k] = cast(int, pictures.emotions.code_of(labels.emotion))
            splits[k] = labels.split
            emotion_words[labels.emotion_folder, int(codes[k])] += 1
            if labels.split_folder:
                split_words[labels.split_folder] += 1
    valid = np.array([k for k in range(len(names)) if k not in bad], dtype=np.int64)
    subjects = np.full(len(valid), -1, dtype=np.int64)
    rows = Rows(images[valid], codes[valid], splits[valid], start + valid, subjects)
    return Block(rows, list(bad.values()), len(names), emotion_words, split_words)


def _check_kind(source: str, kind: KindName) -> None:
    if kind != EXPRESSION.name:
        raise InputError(f"{source}: pictures carry no {kind}; expected a CSV")


def _folder_pictures(source: str, emotions: EmotionReader) -> Pictures:
    files = [entry.name for entry in storage.walk(source)]
    names = sort_pictures(source, files)
    check_emotions(source, names, emotions)

    def read(name: str) -> bytes:
        try:
            return storage.read_bytes(storage.join(source, name), MAX_PICTURE_BYTES)
        except InputError as error:
            raise PictureError(str(error)) from None

    reader_count = _REMOTE_READER_COUNT if storage.is_remote(source) else 1
    return Pictures(source, emotions, names, read, reader_count, _skipped(files))


def _zip_pictures(source: str, emotions: EmotionReader, archive: zipfile.ZipFile) -> Pictures:
    files = visible_members(archive)
    root = _common_root(files)
    members = {name.removeprefix(root): member for name, member in files.items()}
    names = sort_pictures(source, members)
    check_emotions(source, names, emotions)

    def read(name: str) -> bytes:
        try:
            with archive.open(members[name]) as file, storage.translate_errors(source):
                data = file.read(MAX_PICTURE_BYTES + 1)
        except (EOFError, zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
            raise PictureError(f"damaged: {error}") from None
        if len(data) > MAX_PICTURE_BYTES:
            raise PictureError(f"larger than {MAX_PICTURE_BYTES} bytes")
        return data

    return Pictures(source, emotions, names, read, 1, _skipped(members))


def _skipped(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if is_visible(name) and is_no_picture(name))


def _is_zip_of_pictures(source: str) -> bool:
    """Return whether a file is a zip with pictures in folders of emotions, or without any CSV."""
    with storage.open_binary(source) as file, storage.translate_errors(source):
        if file.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
            return False
        file.seek(0)
        with open_zip(source, file) as archive:
            names = list(visible_members(archive))
    refuse_other_zips(source, names)
    if any(name.lower().endswith(".csv") for name in names):
        # Beside pictures in folders of emotions it is a list of their labels.
        return any(
            has_picture_suffix(name) and any(map(is_label, name.split("/")[:-1])) for name in names
        )
    return any("/" in name for name in names)


def _common_root(names: Iterable[str]) -> str:
    """Return the top folder ("fer/") if all folders are in one that is no label, else ""."""
    top_folders = {name.split("/")[0] for name in names if "/" in name}
    if len(top_folders) != 1:
        return ""
    (top,) = top_folders
    return "" if is_label(top) else f"{top}/"


@contextlib.contextmanager
def _open_local_copy(source: str) -> Iterator[BinaryIO]:
    """Open a local file, or a temporary copy of a remote one: members are read in any order."""
    if not storage.is_remote(source):
        with storage.open_binary(source) as file:
            yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.zip")
        storage.download(source, copy)
        with copy.open("rb") as file:
            yield file
