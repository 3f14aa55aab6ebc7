"""Files by URI: a path, `file://` or `gs://`, read within bounds, written whole or not at all.

A local write goes to a temporary file beside its target, is flushed to disk and renamed; a write
to Cloud Storage is one upload. `components.gcs` does that and is imported only where needed.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, unquote

from components.errors import BadInput, Unavailable
from components.whole_files import flush, flush_folder, partial_file

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


class Missing(BadInput):
    """There is nothing at this address."""


class Entry(NamedTuple):
    """A file below a folder: its name from there, and its MD5 (hexadecimal), "" if not known."""

    name: str
    md5: str


def is_remote(uri: str) -> bool:
    """Whether the URI is in Cloud Storage. Raises `BadInput` for a scheme nobody here reads."""
    scheme = _SCHEME.match(uri)
    if scheme is None or scheme[1] == "file":
        return False
    if scheme[1] == "gs":
        return True
    raise BadInput(
        f"{uri}: scheme {scheme[1]}:// cannot be read or written here; expected a path or gs://"
    )


def local_path(uri: str) -> Path:
    """The path of a local URI. Raises `BadInput` for any other."""
    if is_remote(uri):
        raise BadInput(f"{uri}: a local folder is needed here")
    if "\0" in uri:
        raise BadInput(f"{uri!r}: a path holds no zero character")
    return Path(unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri)


def join(uri: str, *names: str) -> str:
    """The URI of a name below another one."""
    if uri.startswith("file://"):
        names = tuple(quote(name) for name in names)
    return "/".join([uri.rstrip("/"), *names])


def read_bytes(uri: str, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes.

    Raises `Missing` where there is none, `BadInput` where it is longer, `Unavailable` where the
    storage fails.
    """
    if is_remote(uri):
        from components import gcs

        data = gcs.read_start(uri, limit + 1)
    else:
        with open_binary(uri) as file, failures(uri):
            data = file.read(limit + 1)
    if len(data) > limit:
        raise BadInput(f"{uri}: larger than {limit} bytes, the most that is read from such a file")
    return data


def write_bytes(uri: str, data: bytes) -> None:
    """Replace the file by `data`; a reader sees the old content or the new, nothing between."""
    if is_remote(uri):
        from components import gcs

        gcs.upload(uri, data)
        return
    path = local_path(uri)
    with failures(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as file:
            file.write(data)
            flush(file)
            os.replace(file.name, path)
        flush_folder(path.parent)


def exists(uri: str) -> bool:
    """Whether there is a file or a folder at this address."""
    if is_remote(uri):
        from components import gcs

        return gcs.exists(uri)
    with failures(uri):
        return local_path(uri).exists()


def list_names(uri: str) -> list[str]:
    """Names of the files and folders directly below, sorted; none if there is no such folder."""
    if is_remote(uri):
        from components import gcs

        return gcs.list_names(uri)
    try:
        with failures(uri):
            return sorted(os.listdir(local_path(uri)))
    except Missing:
        return []


def is_folder(uri: str) -> bool:
    """Whether there is a folder at this address: in Cloud Storage, a prefix that is no object."""
    if is_remote(uri):
        from components import gcs

        return gcs.is_folder(uri)
    with failures(uri):
        return local_path(uri).is_dir()


def walk(uri: str) -> Iterator[Entry]:
    """Every file below a folder, in no order; hidden ones (`.name`) are left out.

    Raises `BadInput` for what is no file: a link that leads out of the folder, to a folder or
    nowhere, a pipe, a device.
    """
    if is_remote(uri):
        from components import gcs

        yield from gcs.walk(uri)
        return
    with failures(uri):
        root = os.path.realpath(local_path(uri))
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(Path(root, folder)) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
            for entry in visible:
                name = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                    continue
                if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(
                    root
                ):
                    raise BadInput(
                        f"{uri}: {name} is a link that leads out of the folder; put the file "
                        "itself there"
                    )
                if not Path(entry.path).is_file():
                    raise BadInput(f"{uri}: {name} is neither a file nor a link to one")
                yield Entry(name, "")


def open_binary(uri: str) -> BinaryIO:
    """The file opened for reading, seekable; a remote one is streamed in chunks.

    Raises `Missing`, `BadInput` and `Unavailable` as `read_bytes` does.
    """
    if is_remote(uri):
        from components import gcs

        return gcs.open_binary(uri)
    path = local_path(uri)
    with failures(uri):
        # A pipe would be waited for, and a device read for ever.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise BadInput(f"{uri}: not a regular file")
        return open(path, "rb")


def sha256(uri: str) -> str:
    """The hexadecimal SHA-256 of a file's content, read in chunks."""
    with open_binary(uri) as file, failures(uri):
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def md5(uri: str) -> str:
    """The hexadecimal MD5 of a file's content, by which Cloud Storage too knows its objects."""
    with open_binary(uri) as file, failures(uri):
        digest = hashlib.md5(usedforsecurity=False)
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        return digest.hexdigest()


def remove(uri: str) -> None:
    """Remove a file; nothing happens where there is none."""
    if is_remote(uri):
        from components import gcs

        gcs.remove(uri)
        return
    with failures(uri):
        local_path(uri).unlink(missing_ok=True)


def download(uri: str, target: Path) -> None:
    """Copy a file from anywhere to a local one, in chunks."""
    with open_binary(uri) as source, failures(str(target)), open(target, "wb") as copy:
        while True:
            with failures(uri):
                chunk = source.read(1 << 20)
            if not chunk:
                return
            copy.write(chunk)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content to a new local file and flush it to disk."""
    with failures(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(source, "rb") as reader, open(target, "xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            flush(writer)


@contextlib.contextmanager
def failures(uri: str) -> Iterator[None]:
    """Turn what a storage raises within the block into `Missing`, `BadInput` or `Unavailable`.

    For whoever reads from a file that `open_binary` gave; the functions here do it themselves.
    """
    if is_remote(uri):
        from components import gcs

        with gcs.failures(uri):
            yield
        return
    try:
        yield
    except FileNotFoundError as error:
        raise Missing(f"{error.filename or uri}: no such file") from None
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise BadInput(f"{error.filename or uri}: {error.strerror}") from None
    except OSError as error:
        mistaken = error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
        failure = BadInput if mistaken else Unavailable
        # Libraries put paragraphs into their errors; the number says it in a few words.
        reason = os.strerror(error.errno) if error.errno else error
        raise failure(f"{error.filename or uri}: {reason}") from None
