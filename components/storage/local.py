"""Files on a disk, for `emotion_ai.storage`.

A write goes to a temporary file beside its target, is flushed to disk and renamed.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.storage.atomic_files import atomic_write, flush, flush_folder
from emotion_ai.storage.uri import Entry, NotFound, local_path


def read_start(uri: str, size: int) -> bytes:
    """The first `size` bytes of a file or all of it."""
    with open_binary(uri) as file, failures(uri):
        return file.read(size)


def write(uri: str, data: bytes) -> None:
    """Replace a file by `data`, whole or not at all."""
    path = local_path(uri)
    with failures(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(data)
            flush(file)
            os.replace(file.name, path)
        flush_folder(path.parent)


def exists(uri: str) -> bool:
    """Whether there is a file or a folder."""
    with failures(uri):
        return local_path(uri).exists()


def list_names(uri: str) -> list[str]:
    """Names of the files and folders directly below, sorted; none if there is no such folder."""
    try:
        with failures(uri):
            return sorted(os.listdir(local_path(uri)))
    except NotFound:
        return []


def is_folder(uri: str) -> bool:
    """Whether there is a folder."""
    with failures(uri):
        return local_path(uri).is_dir()


def walk(uri: str) -> Iterator[Entry]:
    """Every visible file below a folder; see `storage.walk`."""
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
                    raise InputError(
                        f"{uri}: {name} is a link that leads out of the folder; put the file "
                        "itself there"
                    )
                if not Path(entry.path).is_file():
                    raise InputError(f"{uri}: {name} is neither a file nor a link to one")
                yield Entry(name, "")


def open_binary(uri: str) -> BinaryIO:
    """A regular file opened for reading."""
    path = local_path(uri)
    with failures(uri):
        # A pipe would be waited for, and a device read for ever.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise InputError(f"{uri}: not a regular file")
        return open(path, "rb")


def remove(uri: str) -> None:
    """Remove a file; nothing happens where there is none."""
    with failures(uri):
        local_path(uri).unlink(missing_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content to a new local file and flush it to disk."""
    with failures(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(source, "rb") as reader, open(target, "xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            flush(writer)


@contextlib.contextmanager
def failures(uri: str) -> Iterator[None]:
    """Turn the operating system's errors within the block into the project's own."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename or uri}: no such file") from None
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InputError(f"{error.filename or uri}: {error.strerror}") from None
    except OSError as error:
        mistaken = error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
        failure = InputError if mistaken else Unavailable
        # Libraries put paragraphs into their errors; the number says it in a few words.
        reason = os.strerror(error.errno) if error.errno else error
        raise failure(f"{error.filename or uri}: {reason}") from None
