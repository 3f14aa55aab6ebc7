"""One writer at a time: whoever publishes, retains or rolls out holds the registry's lock."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from emotion_ai import storage
from emotion_ai.registry.releases import ReleaseInfo


class Writer(Protocol):
    """What the holder of a registry's lock can do in either kind of storage."""

    def add(self, files: Mapping[str, Path], draft: ReleaseInfo) -> int:
        """Make a new release of these files and its release.json; returns its version."""

    def remove(self, version: int) -> None:
        """Remove a release; a reader sees all of it or nothing."""


@contextlib.contextmanager
def exclusive_writer(registry: str) -> Iterator[Writer]:
    """Be the registry's only writer for the length of the block.

    What killed writers left unfinished is cleared away first. Raises `Unavailable` where another
    writer is at work for too long or the registry cannot be written.
    """
    if storage.is_remote(registry):
        from emotion_ai.registry import bucket_writer

        with bucket_writer.locked(registry) as writer:
            yield writer
    else:
        from emotion_ai.registry import folder_writer

        with folder_writer.locked(storage.local_path(registry)) as writer:
            yield writer
