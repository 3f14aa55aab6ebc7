"""Files by URI: a path, `file://` or `gs://`, read within bounds, written whole or not at all.

A local write goes to a temporary file beside its target, is flushed to disk and renamed; a write
to Cloud Storage is one upload. `components.gcs` does that and is imported only where needed.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from components.errors import BadInput, Unavailable

_PARTIAL = ".partial"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


class Missing(BadInput):
    """There is nothing at this address."""


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
    return Path(unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri)


def join(uri: str, *names: str) -> str:
    """The URI of a name below another one."""
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
        with _partial_file(path) as file:
            file.write(data)
            flush(file)
            os.replace(file.name, path)
        flush_folder(path.parent)


@contextlib.contextmanager
def _partial_file(path: Path) -> Iterator[BinaryIO]:
    """An empty file beside `path`, locked while its writer lives; removed if the block raises."""
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    while True:
        with open(partial, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file, partial):
                # Another writer finished with it, or it was removed as abandoned.
                continue
            try:
                file.truncate(0)
                yield file
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            return


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def remove_abandoned(folder: Path) -> None:
    """Remove what writers to this local folder left when they were killed; the living keep theirs.

    `write_bytes` holds a lock on its temporary file, which the kernel opens when it dies.
    """
    with failures(str(folder)):
        for partial in folder.glob(f".*{_PARTIAL}"):
            with contextlib.suppress(BlockingIOError, FileNotFoundError), open(partial, "rb") as f:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(f, partial):
                    partial.unlink()


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


def open_binary(uri: str) -> BinaryIO:
    """The file opened for reading, seekable; a remote one is streamed in chunks.

    Raises `Missing`, `BadInput` and `Unavailable` as `read_bytes` does.
    """
    if is_remote(uri):
        from components import gcs

        return gcs.open_binary(uri)
    with failures(uri):
        return open(local_path(uri), "rb")


def sha256(uri: str) -> str:
    """The hexadecimal SHA-256 of a file's content, read in chunks."""
    with open_binary(uri) as file, failures(uri):
        digest = hashlib.sha256()
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


def flush(file: BinaryIO) -> None:
    """Put what was written to a local file on the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Put a folder's entries on the disk, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    except (IsADirectoryError, NotADirectoryError) as error:
        raise BadInput(f"{uri}: {error.strerror}") from None
    except OSError as error:
        # Libraries put paragraphs into their errors; the number says it in a few words.
        reason = os.strerror(error.errno) if error.errno else error
        raise Unavailable(f"{error.filename or uri}: {reason}") from None
