"""The registry's lock: every publish, retention and rollout holds it, so there is one writer."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from emotion_ai import storage
from emotion_ai.registry.releases import ReleaseInfo
from emotion_ai.storage.atomic_files import open_own_file


class Writer(Protocol):
    """Write access to a registry, in either kind of storage."""

    def add(self, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
        """Write a new release of these files and its release.json; return its version."""

    def remove(self, version: int) -> None:
        """Remove a release; a reader sees all of it or nothing."""


@contextlib.contextmanager
def exclusive_writer(registry: str) -> Iterator[Writer]:
    """Be the registry's only writer in the block, after removing what killed writers left.

    Args:
        registry: A local folder or a gs:// URI.

    Yields:
        The writer.

    Raises:
        Unavailable: Another writer holds the lock for too long, or the storage failed.
    """
    if storage.is_remote(registry):
        from emotion_ai.registry.bucket_writer import exclusive_bucket_writer

        with exclusive_bucket_writer(registry) as writer:
            yield writer
    else:
        from emotion_ai.registry.folder_writer import exclusive_folder_writer

        with exclusive_folder_writer(storage.local_path(registry)) as writer:
            yield writer


def check_writable(registry: str) -> None:
    """Check that releases can be written to a registry, which need not exist; nothing changes.

    Args:
        registry: A local folder or a gs:// URI.

    Raises:
        InputError: There is a file in the way, or no such bucket.
        Unavailable: The storage failed, or this account may not write there, or not take the lock.
    """
    storage.check_writable(registry)
    if not storage.is_remote(registry):
        from emotion_ai.registry.folder_writer import LOCK_NAME

        lock = storage.local_path(registry) / LOCK_NAME
        if lock.exists():
            with storage.translate_errors(str(lock)):
                open_own_file(lock, storage.SHARED).close()
