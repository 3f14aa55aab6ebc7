"""Publish a release: all of it appears at once under the next free number, or nothing does."""

import contextlib
import errno
import fcntl
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from components import storage
from components.errors import BadInput, Unavailable
from components.registry.champion import read_champion
from components.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    ReleaseInfo,
    list_versions,
    read_release,
    release_uri,
    taken_versions,
)

# TensorFlow Serving and `list_versions` pass over names that are not numbers.
_STAGING = ".staging-"
_REMOVED = ".removed-"
_LOCK = ".publishing.lock"
_LOCK_SECONDS = 300.0
# Another publisher may take a number while this one is at work; more often than this, give up.
_ATTEMPTS = 20


def publish(registry: str, files: Mapping[str, Path], draft: ReleaseInfo) -> tuple[int, bool]:
    """Publish local files as a release; returns its version and whether it is a new one.

    `files` maps each path in the release to a local file; release.json is made here from `draft`,
    whose version is set. The content digest of the newest release makes no new version. Raises
    `Unavailable` where the registry cannot be written; nothing half-written is visible then.
    """
    if GRAPH_PATH not in files:
        raise BadInput(f"{registry}: a release needs {GRAPH_PATH}; combine writes it")
    if storage.is_remote(registry):
        return _newest_same(registry, draft) or (_upload(registry, files, draft), True)
    root = storage.local_path(registry)
    with storage.failures(registry):
        root.mkdir(parents=True, exist_ok=True)
        with _only_publisher(root):
            _remove_leftovers(root)
            return _newest_same(registry, draft) or (_rename(root, files, draft), True)


def retain(registry: str, keep: int) -> list[int]:
    """Remove all but the newest `keep` releases, the champion and its parent; returns the removed.

    Raises `BadInput` where the champion's own record cannot be read; nothing is removed then.
    """
    if keep < 1:
        raise BadInput(f"keep: {keep} releases; at least 1 has to stay")
    versions = list_versions(registry)
    protected: set[int | None] = set(versions[-keep:])
    champion = read_champion(registry)
    if champion is not None:
        protected |= {champion, read_release(registry, champion).parent}
    removed = [version for version in versions if version not in protected]
    for version in removed:
        _remove(registry, version)
    return removed


def _newest_same(registry: str, draft: ReleaseInfo) -> tuple[int, bool] | None:
    versions = list_versions(registry)
    if not versions:
        return None
    newest = read_release(registry, versions[-1])
    return (newest.version, False) if newest.content_digest == draft.content_digest else None


def _rename(root: Path, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
    staging = root / f"{_STAGING}{uuid.uuid4().hex}"
    try:
        for name, source in files.items():
            storage.copy_file(source, staging / name)
        for _ in range(_ATTEMPTS):
            version = _next_version(str(root))
            storage.write_bytes(str(staging / INFO_PATH), _info_text(draft, version))
            for folder in [*staging.rglob("*/"), staging]:
                storage.flush_folder(folder)
            if _renamed(staging, root / str(version)):
                return version
        raise _crowded(str(root))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _renamed(staging: Path, target: Path) -> bool:
    try:
        staging.rename(target)
    except OSError as error:
        # Someone whom the lock does not reach took the number: rename(2) replaces no full folder.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    storage.flush_folder(target.parent)
    return True


def _upload(registry: str, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
    from components import gcs

    # release.json claims the number and saved_model.pb completes the release.
    middle = [name for name in files if name != GRAPH_PATH]
    with tempfile.TemporaryDirectory() as scratch:
        info = Path(scratch) / "release.json"
        for _ in range(_ATTEMPTS):
            version = _next_version(registry)
            info.write_bytes(_info_text(draft, version))
            folder = release_uri(registry, version)
            with contextlib.suppress(gcs.Taken):
                gcs.create(storage.join(folder, INFO_PATH), info)
                for name in [*middle, GRAPH_PATH]:
                    gcs.create(storage.join(folder, name), files[name])
                return version
    raise _crowded(registry)


def _next_version(registry: str) -> int:
    return max(taken_versions(registry), default=0) + 1


def _info_text(draft: ReleaseInfo, version: int) -> bytes:
    return draft.model_copy(update={"version": version}).model_dump_json(indent=1).encode() + b"\n"


def _crowded(registry: str) -> Unavailable:
    return Unavailable(f"{registry}: {_ATTEMPTS} release numbers were taken by others; try again")


def _remove(registry: str, version: int) -> None:
    uri = release_uri(registry, version)
    if storage.is_remote(registry):
        from components import gcs

        gcs.remove(storage.join(uri, GRAPH_PATH))
        gcs.remove_folder(uri)
        return
    with storage.failures(uri):
        # A reader sees the release or none, not one that loses its files.
        path = storage.local_path(uri)
        path = path.rename(path.with_name(f"{_REMOVED}{version}-{uuid.uuid4().hex}"))
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _only_publisher(root: Path) -> Iterator[None]:
    # The kernel lets go of the lock when its holder dies, so a killed publisher blocks nobody.
    deadline = time.monotonic() + _LOCK_SECONDS
    with open(root / _LOCK, "ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"{root}: another publisher holds {_LOCK} for {_LOCK_SECONDS:.0f} s; "
                        "see whether it is alive"
                    ) from None
                time.sleep(0.1)
        yield


def _remove_leftovers(root: Path) -> None:
    # Whoever holds the lock is the only publisher alive, so what is staged was left by the dead.
    for path in root.iterdir():
        if path.name.startswith((_STAGING, _REMOVED)):
            shutil.rmtree(path, ignore_errors=True)
