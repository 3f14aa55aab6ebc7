"""Releases written to Cloud Storage, where a folder cannot be renamed.

release.json claims the number and saved_model.pb, written last, completes the release; every
object is created only where there is none. The lease says beforehand which version is under way:
the next writer removes what a dead one left of it, and nothing else.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.lease import Lease, leased
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    ReleaseInfo,
    is_complete,
    release_uri,
    taken_versions,
)
from emotion_ai.storage import gcs

# Someone without a lease may copy a release to a number meanwhile; more often than this, give up.
_ATTEMPTS = 20


class BucketWriter:
    """The one writer of the registry under a gs:// URI, as long as it holds the lease."""

    def __init__(self, registry: str, lease: Lease) -> None:
        self._registry = registry
        self._lease = lease

    def add(self, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
        """Make a new release of these files and its release.json; returns its version."""
        for _ in range(_ATTEMPTS):
            # A writer that was taken for dead may wake up: it must not meet its number again.
            version = max([*taken_versions(self._registry), *self._lease.inherited], default=0) + 1
            contents: dict[str, Path | bytes] = {INFO_PATH: draft.text(version)}
            contents |= {name: path for name, path in files.items() if name != GRAPH_PATH}
            contents[GRAPH_PATH] = files[GRAPH_PATH]
            with contextlib.suppress(gcs.AlreadyExists):
                self._create(version, contents)
                return version
        raise Unavailable(
            f"{self._registry}: {_ATTEMPTS} release numbers were taken by others; run again"
        )

    def remove(self, version: int) -> None:
        """Remove a release; a reader sees all of it or, once its graph is gone, nothing."""
        self._lease.record_in_progress(version)
        folder = release_uri(self._registry, version)
        gcs.remove(storage.join(folder, GRAPH_PATH))
        gcs.remove_folder(folder)
        self._lease.record_in_progress()

    def remove_leftovers(self) -> None:
        """Remove the halves that dead writers left of releases; what they completed stays."""
        if not self._lease.inherited:
            return
        for version in self._lease.inherited:
            if not is_complete(self._registry, version):
                gcs.remove_folder(release_uri(self._registry, version))
        self._lease.record_in_progress()

    def _create(self, version: int, contents: Mapping[str, Path | bytes]) -> None:
        folder = release_uri(self._registry, version)
        created: dict[str, int] = {}
        self._lease.record_in_progress(version)
        try:
            for name, source in contents.items():
                self._lease.check()
                uri = storage.join(folder, name)
                created[uri] = gcs.put(uri, source, 0)
        except BaseException:
            # Where this fails as well, the lease stays and tells the next writer.
            with contextlib.suppress(InputError, Unavailable):
                for uri, generation in reversed(created.items()):
                    gcs.remove(uri, generation)
                self._lease.record_in_progress()
            raise
        self._lease.record_in_progress()


@contextlib.contextmanager
def locked(registry: str) -> Iterator[BucketWriter]:
    """Hold the registry's lease for the length of the block, with what the dead left cleared."""
    with leased(registry) as lease:
        writer = BucketWriter(registry, lease)
        writer.remove_leftovers()
        yield writer
