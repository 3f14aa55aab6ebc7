"""Stream the lines of a CSV within bounds: plain, gzip, or a zip that holds one CSV.

One line is in memory at a time. The first bytes tell the compression, not the file's name.
"""

import contextlib
import csv
import errno
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, NamedTuple, TypeAlias, cast

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.sources.zip_archive import ZIP_MAGIC, open_zip

# A 96x96 face is at most 37 kB of text; the rest is for ignored columns.
MAX_LINE_BYTES = 256 * 1024
_BUFFER_BYTES = 1024 * 1024
# Pixels as text compress to a quarter; a hundredfold expansion is blanks or a decompression bomb.
_MAX_EXPANSION = 100
# Below this size the expansion is not checked.
_UNCHECKED_BYTES = 1024 * 1024
# What gzip, zlib and zipfile raise for damaged bytes.
_DAMAGE_ERRORS = (
    EOFError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    ValueError,
)

_TextStream: TypeAlias = IO[bytes] | gzip.GzipFile | io.BufferedReader


class CsvLine(NamedTuple):
    """A line of a CSV: its number in the file, counted from 1, and its undecoded fields."""

    number: int
    fields: list[bytes]


def read_lines(source: str) -> Iterator[CsvLine]:
    """Yield the lines of a CSV that are not empty, the header first.

    Args:
        source: The CSV's path, `file://` or `gs://` URI.

    Yields:
        The lines, in order.

    Raises:
        InputError: The file is missing or damaged, has a line longer than `MAX_LINE_BYTES`, or
            expands to more than a hundred times its size.
        Unavailable: The storage failed.
    """
    with storage.open_binary(source) as file, _decompressed(source, file) as text:
        number = expanded = 0
        while True:
            try:
                line = text.readline(MAX_LINE_BYTES + 1)
            except Exception:
                with _translate_errors(source, f"after line {number}"):
                    raise
            if not line:
                return
            number += 1
            expanded += len(line)
            if expanded > _UNCHECKED_BYTES and expanded > _MAX_EXPANSION * file.tell():
                raise InputError(
                    f"{source}: expands to more than {_MAX_EXPANSION} times its size by line "
                    f"{number}; expected faces, which expand four times"
                )
            if len(line) > MAX_LINE_BYTES:
                raise InputError(
                    f"{source}: line {number} is longer than {MAX_LINE_BYTES} bytes; expected a "
                    "CSV with one face a line"
                )
            line = line.rstrip(b"\r\n")
            if line:
                yield CsvLine(number, _split_fields(line))


def _split_fields(line: bytes) -> list[bytes]:
    if b'"' not in line:
        return line.split(b",")
    text = line.decode("utf-8", "surrogateescape")
    try:
        fields = next(csv.reader([text], skipinitialspace=True))
    except csv.Error:
        return [line]
    return [field.encode("utf-8", "surrogateescape") for field in fields]


@contextlib.contextmanager
def _decompressed(source: str, file: BinaryIO) -> Iterator[_TextStream]:
    with _translate_errors(source, "at its start"):
        magic = file.read(4)
        file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        with gzip.open(file) as text:
            yield text
    elif magic == ZIP_MAGIC:
        with open_zip(source, file) as archive, _open_member(source, archive) as text:
            yield text
    else:
        yield io.BufferedReader(cast(io.RawIOBase, file), _BUFFER_BYTES)


@contextlib.contextmanager
def _translate_errors(source: str, position: str) -> Iterator[None]:
    with storage.translate_errors(source):
        try:
            yield
        except _DAMAGE_ERRORS as error:
            raise InputError(f"{source}: damaged {position}: {error}") from None
        except OSError as error:
            # The kernel's error for a damaged zip that points before the file's first byte.
            if error.errno == errno.EINVAL:
                raise InputError(f"{source}: damaged {position}: {error.strerror}") from None
            raise


def _open_member(source: str, archive: zipfile.ZipFile) -> IO[bytes]:
    names = [
        name
        for name in archive.namelist()
        if name.lower().endswith(".csv") and not name.startswith("__MACOSX/")
    ]
    if len(names) != 1:
        found = ", ".join(names[:5]) or "none"
        raise InputError(
            f"{source}: expected one CSV in the zip, found {found}; unpack the right one"
        )
    with _translate_errors(source, "zip"):
        return archive.open(names[0])
