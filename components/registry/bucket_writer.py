"""Write releases to Cloud Storage, where a folder cannot be renamed.

Every object is created only if it does not exist yet: release.json claims the version, and
saved_model.pb, written last, completes the release. The lease records the version in progress
before anything is written. If the writer dies, the next one removes that incomplete release, and
nothing else.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.lease import Lease, hold_lease
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    ReleaseInfo,
    is_complete,
    release_uri,
    used_versions,
)
from emotion_ai.storage import gcs

# A copy made without the lease may take the same version; the writer then tries the next one.
_MAX_ATTEMPTS = 20


class BucketWriter:
    """The only writer of a registry at a gs:// URI, as long as it holds the lease."""

    def __init__(self, registry: str, lease: Lease) -> None:
        self._registry = registry
        self._lease = lease

    def add(self, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
        """Write a new release of these files and its release.json; return its version."""
        for _ in range(_MAX_ATTEMPTS):
            # A writer that was presumed dead may wake up; its version must not be used again.
            used = [*used_versions(self._registry), *self._lease.abandoned_versions]
            version = max(used, default=0) + 1
            contents: dict[str, Path | bytes] = {INFO_PATH: draft.to_json(version)}
            contents |= {name: path for name, path in files.items() if name != GRAPH_PATH}
            contents[GRAPH_PATH] = files[GRAPH_PATH]
            with contextlib.suppress(gcs.AlreadyExists):
                self._create(version, contents)
                return version
        raise Unavailable(
            f"{self._registry}: {_MAX_ATTEMPTS} release numbers were taken by others; run again"
        )

    def remove(self, version: int) -> None:
        """Remove a release, its graph first: without that a reader sees no release."""
        self._lease.record_in_progress(version)
        folder = release_uri(self._registry, version)
        gcs.remove(storage.join(folder, GRAPH_PATH))
        gcs.remove_folder(folder)
        self._lease.record_in_progress()

    def remove_leftovers(self) -> None:
        """Remove the incomplete releases of dead writers, and keep the complete ones."""
        if not self._lease.abandoned_versions:
            return
        for version in self._lease.abandoned_versions:
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
            # If this fails too, the lease stays and tells the next writer what to remove.
            with contextlib.suppress(InputError, Unavailable):
                for uri, generation in reversed(created.items()):
                    gcs.remove(uri, generation)
                self._lease.record_in_progress()
            raise
        self._lease.record_in_progress()


@contextlib.contextmanager
def exclusive_bucket_writer(registry: str) -> Iterator[BucketWriter]:
    """Hold the registry's lease in the block, after removing what dead writers left."""
    with hold_lease(registry) as lease:
        writer = BucketWriter(registry, lease)
        writer.remove_leftovers()
        yield writer
