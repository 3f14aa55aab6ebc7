"""Open a CSV as lines of UTF-8 within bounds: plain, packed, in a zip or in a tar.

The first bytes tell the format, not the file's name. Gzip, bzip2, xz, a zip or a (packed) tar that
holds one CSV, UTF-8 and UTF-16 are read; other formats are named and refused.
"""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO, NamedTuple, Protocol, cast

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.sources.file_formats import (
    DecodedLines,
    refuse_other_formats,
    refuse_other_zips,
    text_encoding,
)
from emotion_ai.sources.folders import is_visible
from emotion_ai.sources.xz_file import XzFile
from emotion_ai.sources.zip_archive import ZIP_MAGIC, open_zip, visible_members

_BUFFER_BYTES = 1024 * 1024
# Pixels as text compress to a quarter; a hundredfold expansion is blanks or a decompression bomb.
_MAX_EXPANSION = 100
# Below this size the expansion is not checked.
_UNCHECKED_BYTES = 1024 * 1024
_TAR_BLOCK = tarfile.BLOCKSIZE
# What the decompressors and readers of archives raise for damaged bytes.
_DAMAGE_ERRORS = (
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    ValueError,
)
_DECOMPRESSORS: dict[bytes, Callable[[str, BinaryIO], Any]] = {
    b"\x1f\x8b": lambda _, file: gzip.GzipFile(fileobj=file),
    b"BZh": lambda _, file: bz2.BZ2File(file),
    b"\xfd7zXZ\0": XzFile,
}


class Lines(Protocol):
    """Text whose lines are read one by one."""

    def readline(self, size: int) -> bytes:
        """Read a line, or its first `size` characters; empty at the end."""


class _Unpacked(io.RawIOBase):
    """Unpacked bytes that refuse to be far more than the packed ones."""

    def __init__(self, source: str, packed: BinaryIO, unpacked: IO[bytes]) -> None:
        self._source = source
        self._packed = packed
        self._unpacked = unpacked
        self._read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._unpacked.seek(offset, whence)

    def tell(self) -> int:
        return self._unpacked.tell()

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._unpacked.read(len(view))
        view[: len(data)] = data
        self._read += len(data)
        if self._read > max(_UNCHECKED_BYTES, _MAX_EXPANSION * self._packed.tell()):
            raise InputError(
                f"{self._source}: expands to more than {_MAX_EXPANSION} times its size; expected "
                "faces, which expand four times"
            )
        return len(data)


class _Part(io.RawIOBase):
    """The next `size` bytes of a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._stream.read(min(len(view), self._left))
        if not data and self._left:
            raise EOFError("the archive ends early")
        self._left -= len(data)
        view[: len(data)] = data
        return len(data)


class _TarMember(NamedTuple):
    name: str
    start: int
    size: int


@contextlib.contextmanager
def open_text(source: str) -> Iterator[Lines]:
    """Open a CSV for reading its lines.

    Args:
        source: The file's path, `file://` or `gs://` URI.

    Yields:
        The text. Wrap reads in `translate_damage`.

    Raises:
        InputError: The file is missing, damaged or of a format that is not read, or an archive has
            not exactly one CSV; also while it is read, if it unpacks to more than a hundred times
            its size.
        Unavailable: The storage failed.
    """
    with storage.open_binary(source) as file, contextlib.ExitStack() as stack:
        with translate_damage(source, "in its first MiB"):
            stream = _unpack(source, file, stack)
            if _is_tar(stream):
                stream = _tar_csv(source, stream)
            head = stream.peek(_BUFFER_BYTES)
            encoding = text_encoding(head)
            if encoding != "utf-16":
                refuse_other_formats(source, head)
        yield stream if encoding is None else DecodedLines(stream, encoding)


@contextlib.contextmanager
def translate_damage(source: str, position: str) -> Iterator[None]:
    """Raise `InputError` for what the readers of packed files raise for damaged bytes.

    Args:
        source: What messages call the file.
        position: Where in it, in words.
    """
    with storage.translate_errors(source):
        try:
            yield
        except _DAMAGE_ERRORS as error:
            raise InputError(f"{source}: damaged {position}: {error}") from None
        except OSError as error:
            # The kernel's error for a zip that points before its start; bytes that are no bzip2.
            if error.errno == errno.EINVAL or (type(error) is OSError and error.errno is None):
                reason = error.strerror or error
                raise InputError(f"{source}: damaged {position}: {reason}") from None
            raise


def _unpack(source: str, file: BinaryIO, stack: contextlib.ExitStack) -> io.BufferedReader:
    head = file.read(max(map(len, _DECOMPRESSORS)))
    file.seek(0)
    for magic, decompress in _DECOMPRESSORS.items():
        if head.startswith(magic):
            unpacked = stack.enter_context(decompress(source, file))
            return io.BufferedReader(_Unpacked(source, file, unpacked), _BUFFER_BYTES)
    if head.startswith(ZIP_MAGIC):
        archive = stack.enter_context(open_zip(source, file))
        unpacked = stack.enter_context(_open_member(source, archive))
        return io.BufferedReader(_Unpacked(source, file, unpacked), _BUFFER_BYTES)
    return io.BufferedReader(cast(io.RawIOBase, file), _BUFFER_BYTES)


def _open_member(source: str, archive: zipfile.ZipFile) -> IO[bytes]:
    members = visible_members(archive)
    refuse_other_zips(source, list(members))
    return archive.open(members[_one_csv(source, "zip", list(members))])


def _one_csv(source: str, archive: str, members: list[str]) -> str:
    names = [name for name in members if name.lower().endswith(".csv")]
    if len(names) != 1:
        found = ", ".join(names[:5]) or "none"
        raise InputError(
            f"{source}: expected one CSV in the {archive}, found {found}; unpack the right one"
        )
    return names[0]


def _is_tar(stream: io.BufferedReader) -> bool:
    return stream.peek(_TAR_BLOCK)[257:262] == b"ustar"


def _tar_csv(source: str, stream: io.BufferedReader) -> io.BufferedReader:
    members = {member.name: member for member in _tar_members(stream) if is_visible(member.name)}
    csv = members[_one_csv(source, "tar", list(members))]
    stream.seek(csv.start)
    return io.BufferedReader(_Part(stream, csv.size), _BUFFER_BYTES)


def _tar_members(stream: io.BufferedReader) -> Iterator[_TarMember]:
    """Yield the files of a tar.

    Not with `tarfile.open`, which reads extended headers of any size into memory. Here they are
    passed over: of a name longer than 100 bytes the first hundred are read.
    """
    while (block := stream.read(_TAR_BLOCK)).strip(b"\0"):
        member = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
        if member.isreg():
            yield _TarMember(member.name, stream.tell(), member.size)
        left = -(-member.size // _TAR_BLOCK) * _TAR_BLOCK
        if member.size < 0:
            raise tarfile.ReadError("a member of negative size")
        while left:
            data = stream.read(min(left, _BUFFER_BYTES))
            if not data:
                raise EOFError("the archive ends early")
            left -= len(data)
