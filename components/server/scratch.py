"""A folder for everything temporary, which the next server removes if this one is killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "emotion-ai-server-"
_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Let temporary files of this process be created in a folder of its own during a `with` block.

    The folders of servers that were killed are removed first.

    Yields:
        The folder; it is removed at the end of the block.
    """
    parent = Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    new = Path(tempfile.mkdtemp(prefix=".emotion-ai-new-"))
    lock = os.open(new / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Locked before it has the name that others look for.
    fcntl.flock(lock, fcntl.LOCK_EX)
    folder = new.rename(parent / f"{_PREFIX}{uuid.uuid4().hex}")
    before = tempfile.tempdir
    # TensorFlow's own temporary files go there too.
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        # Another user's folder, or one that is gone meanwhile.
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
