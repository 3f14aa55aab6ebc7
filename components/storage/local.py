"""Files on a disk: the local implementation of `emotion_ai.storage`.

A write goes to a temporary file beside its target, which is flushed to the disk and renamed.
"""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.storage.atomic_files import PRIVATE, atomic_write, complete, flush, flush_folder
from emotion_ai.storage.file_locks import posix_flags
from emotion_ai.storage.uri import Entry, NotFound, local_path


def read_start(uri: str, size: int) -> bytes:
    """Read the first `size` bytes of a file, or all of it."""
    with open_binary(uri) as file, translate_errors(uri):
        return file.read(size)


def write(uri: str, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file atomically, with these permissions, less the umask."""
    path = local_path(uri)
    with translate_errors(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, mode) as file:
            file.write(data)
            complete(file, path)
        flush_folder(path.parent)


def create(uri: str, data: bytes) -> bool:
    """Write a file if there is none."""
    path = local_path(uri)
    with translate_errors(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileExistsError:
            return False
        with file:
            file.write(data)
            flush(file)
        flush_folder(path.parent)
    return True


def check_writable(uri: str) -> None:
    """Check that files can be written to a folder, which need not exist."""
    folder = local_path(uri).absolute()
    try:
        while not folder.exists() and not folder.is_symlink():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except NotADirectoryError:
        raise InputError(f"{uri}: {folder} is a file; expected a folder") from None
    except OSError as error:
        raise Unavailable(
            f"{uri}: nothing can be written to {folder}: {error.strerror}; name another folder, or "
            "let this account write to it"
        ) from None


def exists(uri: str) -> bool:
    """Return whether there is a file or a folder."""
    with translate_errors(uri):
        return local_path(uri).exists()


def list_names(uri: str) -> list[str]:
    """List the files and folders directly in a folder, sorted; none if it does not exist."""
    try:
        with translate_errors(uri):
            return sorted(path.name for path in local_path(uri).iterdir())
    except NotFound:
        return []


def is_folder(uri: str) -> bool:
    """Return whether there is a folder."""
    with translate_errors(uri):
        return local_path(uri).is_dir()


def last_changes(uri: str) -> dict[str, float]:
    """Return the time of the newest file in each folder of a folder; see `storage.last_changes`."""
    times: dict[str, float] = {}
    with translate_errors(uri):
        root = local_path(uri)
        folders = [path for path in root.iterdir() if _is_folder(path)] if root.is_dir() else []
        for folder in folders:
            # Removed meanwhile by another process, a file has no time.
            with contextlib.suppress(FileNotFoundError):
                files = [path for path in folder.rglob("*") if not _is_folder(path)]
                times[folder.name] = max(map(_changed, files or [folder]))
    return times


def _changed(path: Path) -> float:
    """When a file was last changed; no later than it was put here, though its own time says so."""
    status = path.lstat()
    return min(status.st_mtime, status.st_ctime)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def walk(uri: str) -> Iterator[Entry]:
    """Yield every visible file in a folder and its subfolders; see `storage.walk`."""
    with translate_errors(uri):
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
    """Open a regular file for reading."""
    with translate_errors(uri):
        return open_regular(local_path(uri))


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading that a user has named; a pipe or a device is refused.

    Raises:
        InputError: Opening it could block, or reading it might never end.
        OSError: It cannot be opened.
    """
    if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        raise InputError(f"{path}: not a regular file")
    # Path.open takes no opener. It does not block at a pipe that has just taken the file's place.
    return open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | posix_flags("O_NONBLOCK"))
    )


def remove(uri: str) -> None:
    """Remove a file, if it exists."""
    with translate_errors(uri):
        local_path(uri).unlink(missing_ok=True)


def remove_folder(uri: str) -> None:
    """Remove a folder with everything in it, if it exists; links are not followed."""
    # Another process may be removing it too.
    with contextlib.suppress(NotFound), translate_errors(uri):
        path = local_path(uri)
        try:
            shutil.rmtree(path)
        except OSError as error:
            # It names a file without its folder.
            raise OSError(error.errno, error.strerror, str(path)) from None


def copy_file(source: Path, target: Path) -> None:
    """Copy a local file to a new one, and flush that to the disk."""
    with translate_errors(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reader, target.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            flush(writer)


@contextlib.contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Translate the operating system's errors in the block to the project's own."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename or uri}: no such file") from None
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise InputError(f"{error.filename or uri}: {error.strerror}") from None
    except OSError as error:
        bad_name = error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
        error_class = InputError if bad_name else Unavailable
        # Some libraries put whole paragraphs into an OSError; its number has a short text.
        reason = os.strerror(error.errno) if error.errno else error
        raise error_class(f"{error.filename or uri}: {reason}") from None
