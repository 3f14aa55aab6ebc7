"""Local files that appear complete or not at all, even if their writer is killed."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from emotion_ai.errors import InputError

_PARTIAL = ".partial"


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, to be renamed to it at the end of the block.

    The caller flushes and renames the file. The file is locked while its writer lives, and removed
    if the block raises.

    Args:
        path: The file to replace; its folder exists.

    Yields:
        The empty temporary file, opened for writing.

    Example:
        with atomic_write(path) as file:
            file.write(data)
            flush(file)
            Path(file.name).replace(path)
    """
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    while True:
        with partial.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_same_file(file, partial):
                # Another writer renamed it meanwhile, or it was removed as abandoned.
                continue
            try:
                file.truncate(0)
                yield file
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            return


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
    for partial in folder.glob(f".*{_PARTIAL}"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(file, partial):
                partial.unlink()


def check_writable_name(output: Path) -> None:
    """Raise `InputError` if the name is a folder's or its parent folder does not exist."""
    if output.is_dir():
        raise InputError(f"{output}: this is a folder; name a file for the output")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}; make it first")


def lock_exclusively(file: BinaryIO, output: Path) -> None:
    """Lock the temporary file of `output`; raise `InputError` if another process has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
