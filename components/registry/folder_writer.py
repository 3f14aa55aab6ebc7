"""Releases written to a local folder: staged beside it, flushed, and renamed into place."""

import contextlib
import errno
import fcntl
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.registry.lock_wait import LockWait
from emotion_ai.registry.releases import INFO_PATH, ReleaseInfo, taken_versions
from emotion_ai.storage.atomic_files import flush_folder, remove_abandoned_files

# TensorFlow Serving and `list_versions` pass over names that are not numbers.
_STAGING = ".staging-"
_REMOVED = ".removed-"
LOCK_NAME = ".writer.lock"
_POLL_SECONDS = 0.1
# Whom the lock does not reach may take a number meanwhile; more often than this, give up.
_ATTEMPTS = 20


class FolderWriter:
    """The one writer of the registry in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
        """Make a new release of these files and its release.json; returns its version."""
        staging = self._root / f"{_STAGING}{uuid.uuid4().hex}"
        try:
            for name, source in files.items():
                storage.copy_file(source, staging / name)
            for _ in range(_ATTEMPTS):
                version = self._next_version()
                storage.write_bytes(str(staging / INFO_PATH), draft.text(version))
                for folder in [*staging.rglob("*/"), staging]:
                    flush_folder(folder)
                if _renamed(staging, self._root / str(version)):
                    return version
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        raise Unavailable(
            f"{self._root}: {_ATTEMPTS} release numbers were taken by others; run again"
        )

    def remove(self, version: int) -> None:
        """Remove a release; a reader sees all of it or nothing."""
        path = self._root / str(version)
        with storage.translate_errors(str(path)):
            path = path.rename(path.with_name(f"{_REMOVED}{version}-{uuid.uuid4().hex}"))
            shutil.rmtree(path, ignore_errors=True)

    def _next_version(self) -> int:
        return max(taken_versions(str(self._root)), default=0) + 1


@contextlib.contextmanager
def locked(root: Path) -> Iterator[FolderWriter]:
    """Hold the folder's lock for the length of the block, with what the dead left cleared away."""
    with storage.translate_errors(str(root)):
        root.mkdir(parents=True, exist_ok=True)
        # The kernel lets go of the lock when its holder dies, so a killed writer blocks nobody.
        lock = open(root / LOCK_NAME, "ab")  # noqa: SIM115 - held past this block
    with lock:
        _acquire(lock.fileno(), root / LOCK_NAME)
        with storage.translate_errors(str(root)):
            _remove_leftovers(root)
        yield FolderWriter(root)


def _acquire(lock: int, path: Path) -> None:
    waiting = LockWait(str(path))
    while True:
        with storage.translate_errors(str(path)), contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        waiting.go_on("another writer")
        time.sleep(_POLL_SECONDS)


def _renamed(staging: Path, target: Path) -> bool:
    try:
        staging.rename(target)
    except OSError as error:
        # Someone whom the lock does not reach took the number: rename(2) replaces no full folder.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    flush_folder(target.parent)
    return True


def _remove_leftovers(root: Path) -> None:
    # Whoever holds the lock is the only writer alive, so what is staged was left by the dead.
    for path in root.iterdir():
        if path.name.startswith((_STAGING, _REMOVED)):
            shutil.rmtree(path, ignore_errors=True)
    # Records of runs are written without the lock.
    for folder in [root, *(root / "runs").rglob("*/")]:
        with storage.translate_errors(str(folder)):
            remove_abandoned_files(folder)
