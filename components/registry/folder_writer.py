"""Write releases to a local folder: stage them there, flush them, and rename them."""

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
from emotion_ai.registry.releases import INFO_PATH, ReleaseInfo, used_versions
from emotion_ai.storage.atomic_files import (
    flush_folder,
    open_own_file,
    remove_abandoned_files,
)

# TensorFlow Serving and `list_versions` ignore names that are not numbers.
_STAGING = ".staging-"
_REMOVED = ".removed-"
LOCK_NAME = ".writer.lock"
_POLL_SECONDS = 0.1
# A writer that the lock does not reach may take the same version; then the next one is tried.
_MAX_ATTEMPTS = 20


class FolderWriter:
    """The only writer of the registry in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
        """Write a new release of these files and its release.json; return its version."""
        staging = self._root / f"{_STAGING}{uuid.uuid4().hex}"
        try:
            for name, source in files.items():
                storage.copy_file(source, staging / name)
            for _ in range(_MAX_ATTEMPTS):
                version = self._next_version()
                storage.write_bytes(
                    str(staging / INFO_PATH), draft.to_json(version), storage.SHARED
                )
                for folder in [*staging.rglob("*/"), staging]:
                    flush_folder(folder)
                if _rename_if_free(staging, self._root / str(version)):
                    return version
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        raise Unavailable(
            f"{self._root}: {_MAX_ATTEMPTS} release numbers were taken by others; run again"
        )

    def remove(self, version: int) -> None:
        """Remove a release by a rename first: a reader sees all of it or nothing."""
        path = self._root / str(version)
        with storage.translate_errors(str(path)):
            path = path.rename(path.with_name(f"{_REMOVED}{version}-{uuid.uuid4().hex}"))
            shutil.rmtree(path, ignore_errors=True)

    def _next_version(self) -> int:
        return max(used_versions(str(self._root)), default=0) + 1


@contextlib.contextmanager
def exclusive_folder_writer(root: Path) -> Iterator[FolderWriter]:
    """Hold the folder's lock in the block, after removing what dead writers left."""
    with storage.translate_errors(str(root)):
        root.mkdir(parents=True, exist_ok=True)
        # The kernel releases the lock when its holder dies, so a killed writer blocks no other.
        lock = open_own_file(root / LOCK_NAME, storage.SHARED)
    with lock:
        _acquire(lock.fileno(), root / LOCK_NAME)
        with storage.translate_errors(str(root)):
            _remove_leftovers(root)
        yield FolderWriter(root)


def _acquire(lock: int, path: Path) -> None:
    wait = LockWait(str(path))
    while True:
        with storage.translate_errors(str(path)), contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        wait.check("another writer")
        time.sleep(_POLL_SECONDS)


def _rename_if_free(staging: Path, target: Path) -> bool:
    try:
        staging.rename(target)
    except OSError as error:
        # Another writer took the version: rename(2) does not replace a folder that has files.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    flush_folder(target.parent)
    return True


def _remove_leftovers(root: Path) -> None:
    # The lock's holder is the only live writer, so every staged folder is a dead writer's.
    for path in root.iterdir():
        if path.name.startswith((_STAGING, _REMOVED)):
            shutil.rmtree(path, ignore_errors=True)
    # Records of runs are written without the lock, so only abandoned files are removed.
    for folder in [root, *(root / "runs").rglob("*/")]:
        with storage.translate_errors(str(folder)):
            remove_abandoned_files(folder)
