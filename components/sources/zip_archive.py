"""Open untrusted zip files within bounds; nothing is unpacked to the disk."""

import contextlib
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from emotion_ai.errors import InputError
from emotion_ai.sources.folders import is_visible

ZIP_MAGIC = b"PK\x03\x04"
# `zipfile` holds the list of members in memory, about half a kilobyte for each.
MAX_MEMBERS = 500_000
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
# Text and pictures do not compress further; DEFLATE's own limit is a factor of a thousand.
MAX_EXPANSION = 200
_MEMBER_SIGNATURE = b"PK\x01\x02"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class _BoundedReads:
    """A file that refuses to read an oversized list of members, which `zipfile` reads at once."""

    def __init__(self, source: str, file: BinaryIO) -> None:
        self._source = source
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(
            size if 0 <= size <= MAX_DIRECTORY_BYTES else MAX_DIRECTORY_BYTES + 1
        )
        # Counted here, as the number of members that the file itself states may be false.
        if len(data) > MAX_DIRECTORY_BYTES or data.count(_MEMBER_SIGNATURE) > MAX_MEMBERS:
            raise InputError(
                f"{self._source}: too many members in the zip; at most {MAX_MEMBERS:,} in a list "
                f"of {MAX_DIRECTORY_BYTES:,} bytes are read: unpack it into a folder"
            )
        return data


@contextlib.contextmanager
def open_zip(source: str, file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip for reading its members in memory.

    `zipfile` reads no more of a member than the size in the list of members, so the sum of these
    sizes is compared with the size of the file.

    Args:
        source: What messages call the file.
        file: The zip, seekable.

    Yields:
        The archive.

    Raises:
        InputError: The zip is damaged or encrypted, uses another method than DEFLATE, has a
            member outside itself, or is a decompression bomb.
    """
    try:
        archive = zipfile.ZipFile(cast(BinaryIO, _BoundedReads(source, file)))
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(f"{source}: damaged zip: {error}") from None
    with archive:
        expanded = 0
        for member in archive.infolist():
            _check_member(source, member)
            expanded += member.file_size
        compressed = file.seek(0, 2)
        if expanded > MAX_EXPANSION * compressed:
            raise InputError(
                f"{source}: a zip of {compressed:,} bytes that unpacks to {expanded:,}, more than "
                f"{MAX_EXPANSION} times as many; unpack it yourself if you trust it"
            )
        yield archive


def visible_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return a zip's files by path, without hidden ones and what file managers add.

    Paths have slashes, also in the zips of Windows' PowerShell 5, which have backslashes.
    """
    names = ((member.filename.replace("\\", "/"), member) for member in archive.infolist())
    return {name: member for name, member in names if is_visible(name) and not name.endswith("/")}


def _check_member(source: str, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        raise InputError(f"{source}: member {member.filename!r} of the zip lies outside of it")
    if member.flag_bits & 1:
        raise InputError(f"{source}: member {member.filename!r} is encrypted; expected a plain zip")
    if member.compress_type not in _METHODS:
        # Python's decompressors of the other methods have no limit on what a few bytes expand to.
        raise InputError(
            f"{source}: member {member.filename!r} is packed with method {member.compress_type}; "
            "expected a plain zip (DEFLATE)"
        )
