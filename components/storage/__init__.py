"""Read and write files by URI: a path, `file://` or `gs://`.

Reads are bounded, and writes are atomic. `storage.local` and `storage.gcs` implement the same
functions for a disk and for Cloud Storage; `storage.gcs` is imported only when a URI needs it.

Example:
    >>> from emotion_ai import storage
    >>> storage.write_bytes("notes/hello.txt", b"hello")
    >>> storage.read_bytes("notes/hello.txt", limit=100)
    b'hello'
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, cast

from emotion_ai.errors import InputError
from emotion_ai.storage import local
from emotion_ai.storage.atomic_files import PRIVATE, SHARED, create_private
from emotion_ai.storage.local import copy_file
from emotion_ai.storage.uri import (
    Entry,
    NotFound,
    check_folder_address,
    check_inner_path,
    is_remote,
    join,
    local_path,
)

__all__ = [
    "PRIVATE",
    "SHARED",
    "Entry",
    "NotFound",
    "check_folder_address",
    "check_inner_path",
    "check_writable",
    "copy_file",
    "create",
    "download",
    "exists",
    "is_folder",
    "is_remote",
    "join",
    "last_changes",
    "list_names",
    "local_path",
    "md5",
    "open_binary",
    "read_bytes",
    "read_chunks",
    "remove",
    "remove_folder",
    "sha256",
    "translate_errors",
    "walk",
    "write_bytes",
]


def _backend(uri: str) -> ModuleType:
    if not is_remote(uri):
        return local
    from emotion_ai.storage import gcs

    return gcs


def read_bytes(uri: str, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes.

    Args:
        uri: A path, `file://` or `gs://` URI.
        limit: The largest size in bytes that is accepted.

    Returns:
        The content.

    Raises:
        NotFound: There is no such file.
        InputError: The file is longer than `limit`, or the URI is no file's.
        Unavailable: The storage failed.
    """
    data = cast(bytes, _backend(uri).read_start(uri, limit + 1))
    if len(data) > limit:
        raise InputError(
            f"{uri}: larger than {limit} bytes, the most that is read from such a file"
        )
    return data


def write_bytes(uri: str, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file atomically: a reader sees either the old content or the new.

    Args:
        uri: A path, `file://` or `gs://` URI; missing folders are created.
        data: The new content.
        mode: Permissions of a local file, less the umask: `PRIVATE` or `SHARED`.

    Raises:
        InputError: The URI cannot name a file.
        Unavailable: The storage failed; the old content is unchanged.
    """
    if is_remote(uri):
        _backend(uri).write(uri, data)
    else:
        local.write(uri, data, mode)


def create(uri: str, data: bytes) -> bool:
    """Write a small file if there is none; of several writers at once, one does.

    Args:
        uri: A path, `file://` or `gs://` URI; missing folders are created.
        data: The content.

    Returns:
        Whether the file was written.

    Raises:
        InputError: The URI cannot name a file.
        Unavailable: The storage failed.
    """
    return bool(_backend(uri).create(uri, data))


def check_writable(uri: str) -> None:
    """Check that files can be written to a folder, which need not exist; nothing is left there.

    Args:
        uri: The folder's path, `file://` or `gs://` URI.

    Raises:
        InputError: There is a file in the way, or no such bucket.
        Unavailable: The storage failed, or allows no writing.
    """
    _backend(uri).check_writable(uri)


def exists(uri: str) -> bool:
    """Return whether there is a file or a folder at this URI."""
    return bool(_backend(uri).exists(uri))


def list_names(uri: str) -> list[str]:
    """List the files and folders directly in a folder, sorted; none if it does not exist."""
    return cast(list[str], _backend(uri).list_names(uri))


def is_folder(uri: str) -> bool:
    """Return whether the URI is a folder's: in Cloud Storage, a prefix that is no object."""
    return bool(_backend(uri).is_folder(uri))


def last_changes(uri: str) -> dict[str, float]:
    """Return when each folder directly in a folder was last changed.

    Args:
        uri: The folder; it need not exist.

    Returns:
        By the folder's name, the time of its newest file in seconds since 1970, by the clock of
        the storage. An empty local folder counts as a file.

    Raises:
        Unavailable: The storage failed.
    """
    return cast(dict[str, float], _backend(uri).last_changes(uri))


def walk(uri: str) -> Iterator[Entry]:
    """Yield every file in a folder and its subfolders, unsorted; skip hidden ones (`.name`).

    Args:
        uri: The folder.

    Yields:
        The files, named relative to the folder.

    Raises:
        InputError: An entry is not a file: a pipe, a device, or a link that is broken, leads to a
            folder or leads out of the folder.
        Unavailable: The storage failed.
    """
    yield from _backend(uri).walk(uri)


def open_binary(uri: str) -> BinaryIO:
    """Open a file for reading; it is seekable, and a remote one is streamed in chunks.

    Args:
        uri: A path, `file://` or `gs://` URI.

    Returns:
        The open file. Reads from it raise the storage's own errors: wrap them in
        `translate_errors`.

    Raises:
        NotFound: There is no such file.
        InputError: The URI is no file's.
        Unavailable: The storage failed.
    """
    return cast(BinaryIO, _backend(uri).open_binary(uri))


def read_chunks(uri: str) -> Iterator[bytes]:
    """Yield a file's content in chunks of at most 1 MiB.

    Args:
        uri: A path, `file://` or `gs://` URI.

    Yields:
        The chunks, none of an empty file.

    Raises:
        NotFound: There is no such file, or it was replaced meanwhile.
        InputError: The URI is no file's.
        Unavailable: The storage failed.
    """
    with open_binary(uri) as file, translate_errors(uri):
        while chunk := file.read(1 << 20):
            yield chunk


def sha256(uri: str) -> str:
    """Compute the hexadecimal SHA-256 of a file, read in chunks."""
    return _digest(uri, "sha256")


def md5(uri: str) -> str:
    """Compute the hexadecimal MD5 of a file, which Cloud Storage keeps for its objects."""
    return _digest(uri, "md5")


def _digest(uri: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for chunk in read_chunks(uri):
        digest.update(chunk)
    return digest.hexdigest()


def remove(uri: str) -> None:
    """Remove a file, if it exists."""
    _backend(uri).remove(uri)


def remove_folder(uri: str) -> None:
    """Remove a folder with everything in it, if it exists."""
    _backend(uri).remove_folder(uri)


def download(uri: str, target: Path) -> None:
    """Copy a file of any storage to a local path, in chunks."""
    with open_binary(uri) as source, translate_errors(str(target)), create_private(target) as copy:
        while True:
            with translate_errors(uri):
                chunk = source.read(1 << 20)
            if not chunk:
                return
            copy.write(chunk)


@contextlib.contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Translate the storage's own errors in the block to `InputError` and `Unavailable`.

    For callers that read from a file opened by `open_binary`; the functions here do it themselves.

    Args:
        uri: What a message names if the error itself names no file.

    Raises:
        NotFound: There is no such file.
        InputError: The URI is no file's.
        Unavailable: The storage failed.
    """
    with _backend(uri).translate_errors(uri):
        yield
