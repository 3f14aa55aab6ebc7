"""A folder for everything temporary, which the next process removes if this one is killed."""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.storage.file_locks import HAS_LOCKS, lock, posix_flags, try_lock

_PREFIX = "emotion-ai-scratch-"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder() -> Iterator[None]:
    """Let temporary files of this process be created in a folder of its own during a `with` block.

    Faces may be in them. The folder is removed at the end, and those of processes that were killed
    at the beginning. Where no temporary file can be made, or on Windows, nothing is done: few
    processes need one.
    """
    if not HAS_LOCKS:
        yield
        return
    try:
        folder, descriptor = _make_locked()
    except OSError:
        yield
        return
    before = tempfile.tempdir
    # TensorFlow's own temporary files go there too.
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make_locked() -> tuple[Path, int]:
    parent = Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    new = Path(tempfile.mkdtemp(prefix=".emotion-ai-new-"))
    descriptor = os.open(new / _LOCK, os.O_RDWR | os.O_CREAT | posix_flags("O_CLOEXEC"), 0o600)
    # Locked before it has the name that others look for.
    lock(descriptor)
    return new.rename(parent / f"{_PREFIX}{uuid.uuid4().hex}"), descriptor


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        # Another user's folder, or one that is gone meanwhile.
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
                continue
            flags = os.O_RDWR | posix_flags("O_NOFOLLOW", "O_CLOEXEC")
            descriptor = os.open(folder / _LOCK, flags)
            try:
                try_lock(descriptor)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
