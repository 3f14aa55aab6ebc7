"""Fixtures: an empty registry, and functions that publish to it."""

from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish

from support.minimal_release import Publisher, write_minimal_release


@pytest.fixture(params=["local", "gs"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty registry in each kind of storage."""
    if request.param == "gs":
        return storage.join(request.getfixturevalue("cloud_storage"), tmp_path.name, "registry")
    return str(tmp_path / "registry")


@pytest.fixture
def publish_minimal(tmp_path: Path, registry: str) -> Publisher:
    """A function that publishes a minimal release with this digest and returns its version."""

    def publish_with_digest(digest: str, parent: int | None = None) -> int:
        files, draft = write_minimal_release(tmp_path / "export" / digest, digest)
        version, _ = publish(registry, files, draft.model_copy(update={"parent": parent}))
        return version

    return publish_with_digest


@pytest.fixture
def publish_and_roll_out(registry: str, publish_minimal: Publisher) -> Publisher:
    """A function that publishes a minimal release and makes it the champion."""

    def roll_out(digest: str, parent: int | None = None) -> int:
        version = publish_minimal(digest, parent)
        write_champion(registry, version)
        return version

    return roll_out
