"""The lines of a CSV, streamed: plain, gzip or a zip with one CSV in it, within bounds.

What is in memory is one line. The compression is told by the first bytes, not by the name.
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
from emotion_ai.sources.zip_archive import MAGIC, open_zip

# A 96x96 face is at most 37 kB of text; the rest is room for columns that are ignored.
MAX_LINE_BYTES = 256 * 1024
_BUFFER_BYTES = 1024 * 1024
# Pixels as text shrink to a quarter; what expands a hundredfold is blank or made to fill a disk.
_MAX_EXPANSION = 100
_UNSUSPECTED_BYTES = 1024 * 1024
# What gzip, zlib and zipfile raise for damaged bytes.
_DAMAGE = (
    EOFError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    ValueError,
)

_Lines: TypeAlias = IO[bytes] | gzip.GzipFile | io.BufferedReader


class Record(NamedTuple):
    """A line's number in the file (counted from 1) and its fields as they stand there."""

    line: int
    fields: list[bytes]


def read_records(source: str) -> Iterator[Record]:
    """Yield the lines of a CSV that are not blank, the header first.

    Raises `InputError` for a file that is absent, damaged, has a line longer than `MAX_LINE_BYTES`
    or expands beyond all measure; `Unavailable` where the storage fails.
    """
    with storage.open_binary(source) as file, _decompressed(source, file) as text:
        number = expanded = 0
        while True:
            try:
                line = text.readline(MAX_LINE_BYTES + 1)
            except Exception:
                with _failures(source, f"after line {number}"):
                    raise
            if not line:
                return
            number += 1
            expanded += len(line)
            if expanded > _UNSUSPECTED_BYTES and expanded > _MAX_EXPANSION * file.tell():
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
                yield Record(number, _split(line))


def _split(line: bytes) -> list[bytes]:
    if b'"' not in line:
        return line.split(b",")
    text = line.decode("utf-8", "surrogateescape")
    try:
        fields = next(csv.reader([text], skipinitialspace=True))
    except csv.Error:
        return [line]
    return [field.encode("utf-8", "surrogateescape") for field in fields]


@contextlib.contextmanager
def _decompressed(source: str, file: BinaryIO) -> Iterator[_Lines]:
    with _failures(source, "at its start"):
        magic = file.read(4)
        file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        with gzip.open(file) as text:
            yield text
    elif magic == MAGIC:
        with open_zip(source, file) as archive, _open_member(source, archive) as text:
            yield text
    else:
        yield io.BufferedReader(cast(io.RawIOBase, file), _BUFFER_BYTES)


@contextlib.contextmanager
def _failures(source: str, place: str) -> Iterator[None]:
    with storage.translate_errors(source):
        try:
            yield
        except _DAMAGE as error:
            raise InputError(f"{source}: damaged {place}: {error}") from None
        except OSError as error:
            # How the kernel answers when a damaged zip points before the file's first byte.
            if error.errno == errno.EINVAL:
                raise InputError(f"{source}: damaged {place}: {error.strerror}") from None
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
    with _failures(source, "zip"):
        return archive.open(names[0])
