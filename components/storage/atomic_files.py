"""Local files that appear whole or not at all, whatever becomes of their writer."""

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


@contextlib.contextmanager
def remove_on_failure(*paths: str | Path) -> Iterator[None]:
    """Remove these files and folders if the block raises: what a step leaves is whole or absent.

    A folder that was there before is somebody's, and stays.
    """
    targets = [Path(path) for path in paths]
    folders = [target for target in targets if target.is_dir()]
    try:
        yield
    except BaseException:
        for target in targets:
            if not target.is_dir():
                target.unlink(missing_ok=True)
            elif target not in folders:
                shutil.rmtree(target, ignore_errors=True)
        raise


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def remove_abandoned(folder: Path) -> None:
    """Remove what writers to this local folder left when they were killed; the living keep theirs.

    `atomic_write` holds a lock on its temporary file, which the kernel opens when it dies.
    """
    for partial in folder.glob(f".*{_PARTIAL}"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), open(partial, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, partial):
                partial.unlink()


def check_place(output: Path) -> None:
    """Raise `InputError` where no file of this name can be."""
    if output.is_dir():
        raise InputError(f"{output}: this is a folder; name a file for the output")
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no folder {output.parent}; make it first")


def lock_alone(file: BinaryIO, output: Path) -> None:
    """Lock the file that becomes `output`; raises `InputError` while another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{output}: another process is writing it; wait, or name another file"
        ) from None


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
