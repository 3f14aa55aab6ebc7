"""Local files that appear complete or not at all, even if their writer is killed."""

import contextlib
import errno
import functools
import os
import shutil
import stat
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from typing import BinaryIO

from emotion_ai.errors import InputError
from emotion_ai.storage.file_locks import HAS_LOCKS, let_rename, lock, posix_flags, try_lock

_PARTIAL = ".partial"
# Permissions of a new file, less the umask: its owner's alone, since faces are personal; or those
# of all, since a server may run as another user.
PRIVATE, SHARED = 0o600, 0o666


@contextlib.contextmanager
def atomic_write(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, to be renamed to it at the end of the block.

    The caller calls `complete`. The file is locked while its writer lives, and removed
    if the block raises.

    Args:
        path: The file to replace; its folder exists.
        mode: Its permissions, less the umask.

    Yields:
        The empty temporary file, opened for writing.

    Raises:
        InputError: There is a link or a pipe under the temporary file's name, or a pipe or a device
            under the file's own.

    Example:
        with atomic_write(path) as file:
            file.write(data)
            complete(file, path)
    """
    check_replaceable(path)
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    while True:
        with open_own_file(partial, mode) as file:
            lock(file)
            if not _is_same_file(file, partial):
                # Another writer renamed it meanwhile, or it was removed as abandoned.
                continue
            try:
                file.truncate(0)
                yield file
            except BaseException:
                let_rename(file)
                partial.unlink(missing_ok=True)
                raise
            return


def complete(file: BinaryIO, path: Path) -> None:
    """Flush the temporary file of `atomic_write`, and rename it to `path`."""
    flush(file)
    let_rename(file)
    Path(file.name).replace(path)


def open_own_file(path: Path, mode: int = PRIVATE) -> BinaryIO:
    """Open a file beside another one for reading and appending; it is created if missing.

    Others can guess its name, so a link there, or a pipe, is not followed.

    Args:
        path: The file; its folder exists.
        mode: Its permissions, less the umask.

    Raises:
        InputError: It is no regular file, or has another name too.
    """
    # Path.open takes no opener.
    return open(path, "a+b", opener=functools.partial(_open_unlinked, mode=mode))


def _open_unlinked(path: str, flags: int, mode: int) -> int:
    refusal = InputError(f"{path}: is a link or no file, and was not made here; remove it")
    try:
        descriptor = os.open(path, flags | posix_flags("O_NOFOLLOW", "O_NONBLOCK"), mode)
    except OSError as error:
        raise refusal if error.errno in (errno.ELOOP, errno.ENXIO) else error from None
    status = os.fstat(descriptor)
    # It has no name at all if it was removed meanwhile.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise refusal
    # A killed writer of an earlier version may have left it open to all.
    if hasattr(os, "fchmod") and status.st_mode & 0o777 & ~mode:
        os.fchmod(descriptor, status.st_mode & mode)
    return descriptor


def create_private(path: Path) -> BufferedRandom:
    """Create or empty a file, which its owner alone can read if it is new."""
    # Path.open takes no opener.
    return open(path, "wb+", opener=functools.partial(os.open, mode=PRIVATE))


def make_private_folder(path: Path) -> None:
    """Make a folder, which its owner alone can enter if it is new; and its parents, if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


@contextlib.contextmanager
def remove_on_failure(*paths: str | Path) -> Iterator[None]:
    """Remove files and folders if the block raises: outputs are complete or absent.

    Args:
        paths: The outputs. A folder that exists before the block is kept.
    """
    targets = [Path(path) for path in paths]
    existing_folders = [target for target in targets if target.is_dir()]
    try:
        yield
    except BaseException:
        for target in targets:
            if not target.is_dir():
                target.unlink(missing_ok=True)
            elif target not in existing_folders:
                shutil.rmtree(target, ignore_errors=True)
        raise


def _is_same_file(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def remove_abandoned_files(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a local folder.

    `atomic_write` locks its temporary file, and the kernel releases the lock when the process
    dies. So the files of live writers are kept.
    """
    if not HAS_LOCKS:
        # A live writer's file looks like a dead one's.
        return
    for partial in folder.glob(f".*{_PARTIAL}"):
        # What was not made here stays.
        if partial.is_symlink() or not partial.is_file():
            continue
        with contextlib.suppress(BlockingIOError, FileNotFoundError), partial.open("rb") as file:
            try_lock(file)
            if _is_same_file(file, partial):
                partial.unlink()


def check_writable_name(output: Path) -> None:
    """Raise `InputError` if the name is a folder's or its parent folder does not exist."""
    if output.is_dir():
        raise InputError(f"{output}: this is a folder; name a file for the output")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}; make it first")
    check_replaceable(output)


def follow_links(output: Path) -> Path:
    """Return the file that a link leads to, and any other name as it is.

    What a user names as output is written where the link leads, as by `cp`; a rename to the link's
    own name would replace the link.

    Raises:
        InputError: The link leads to itself.
    """
    if not output.is_symlink():
        return output
    with contextlib.suppress(OSError, RuntimeError):
        target = output.resolve()
        # Python 3.13 ends where a circle of links closes, earlier ones raise.
        if not target.is_symlink():
            return target
    raise InputError(f"{output}: this is a link that leads to itself; name a file")


def check_replaceable(path: Path) -> None:
    """Raise `InputError` for a pipe or a device: a rename would put a file in its place."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{path}: this is a pipe or a device; name a file")


def lock_exclusively(file: BinaryIO, output: Path) -> None:
    """Lock the temporary file of `output`; raise `InputError` if another process has."""
    try:
        try_lock(file)
    except BlockingIOError:
        raise InputError(
            f"{output}: another process is writing it; wait, or name another file"
        ) from None


def flush(file: BinaryIO) -> None:
    """Flush a local file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename survives a power cut."""
    if not HAS_LOCKS:
        # Windows opens no folder.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
