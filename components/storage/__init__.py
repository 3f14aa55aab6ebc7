"""Files by URI: a path, `file://` or `gs://`, read within bounds, written whole or not at all.

`storage.local` and `storage.gcs` hold the same functions for a disk and for Cloud Storage; the
latter is imported only where a URI needs it.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, cast

from emotion_ai.errors import InputError
from emotion_ai.storage import local
from emotion_ai.storage.local import copy_file
from emotion_ai.storage.uri import Entry, NotFound, is_remote, join, local_path

__all__ = [
    "Entry",
    "NotFound",
    "copy_file",
    "download",
    "exists",
    "failures",
    "is_folder",
    "is_remote",
    "join",
    "list_names",
    "local_path",
    "md5",
    "open_binary",
    "read_bytes",
    "remove",
    "sha256",
    "walk",
    "write_bytes",
]


def _backend(uri: str) -> ModuleType:
    if not is_remote(uri):
        return local
    from emotion_ai.storage import gcs

    return gcs


def read_bytes(uri: str, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes.

    Raises `NotFound` where there is none, `InputError` where it is longer, `Unavailable` where the
    storage fails.
    """
    data = cast(bytes, _backend(uri).read_start(uri, limit + 1))
    if len(data) > limit:
        raise InputError(
            f"{uri}: larger than {limit} bytes, the most that is read from such a file"
        )
    return data


def write_bytes(uri: str, data: bytes) -> None:
    """Replace the file by `data`; a reader sees the old content or the new, nothing between."""
    _backend(uri).write(uri, data)


def exists(uri: str) -> bool:
    """Whether there is a file or a folder at this address."""
    return bool(_backend(uri).exists(uri))


def list_names(uri: str) -> list[str]:
    """Names of the files and folders directly below, sorted; none if there is no such folder."""
    return cast(list[str], _backend(uri).list_names(uri))


def is_folder(uri: str) -> bool:
    """Whether there is a folder at this address: in Cloud Storage, a prefix that is no object."""
    return bool(_backend(uri).is_folder(uri))


def walk(uri: str) -> Iterator[Entry]:
    """Every file below a folder, in no order; hidden ones (`.name`) are left out.

    Raises `InputError` for what is no file: a link that leads out of the folder, to a folder or
    nowhere, a pipe, a device.
    """
    yield from _backend(uri).walk(uri)


def open_binary(uri: str) -> BinaryIO:
    """The file opened for reading, seekable; a remote one is streamed in chunks.

    Raises `NotFound`, `InputError` and `Unavailable` as `read_bytes` does.
    """
    return cast(BinaryIO, _backend(uri).open_binary(uri))


def sha256(uri: str) -> str:
    """The hexadecimal SHA-256 of a file's content, read in chunks."""
    return _digest(uri, "sha256")


def md5(uri: str) -> str:
    """The hexadecimal MD5 of a file's content, by which Cloud Storage too knows its objects."""
    return _digest(uri, "md5")


def _digest(uri: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open_binary(uri) as file, failures(uri):
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def remove(uri: str) -> None:
    """Remove a file; nothing happens where there is none."""
    _backend(uri).remove(uri)


def download(uri: str, target: Path) -> None:
    """Copy a file from anywhere to a local one, in chunks."""
    with open_binary(uri) as source, failures(str(target)), open(target, "wb") as copy:
        while True:
            with failures(uri):
                chunk = source.read(1 << 20)
            if not chunk:
                return
            copy.write(chunk)


@contextlib.contextmanager
def failures(uri: str) -> Iterator[None]:
    """Turn what a storage raises within the block into `NotFound`, `InputError` or `Unavailable`.

    For callers that read from a file that `open_binary` gave; the functions here do it themselves.
    """
    with _backend(uri).failures(uri):
        yield
