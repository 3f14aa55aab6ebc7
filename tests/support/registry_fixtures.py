"""Empty registries and what fills them."""

from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish

from support.minimal_release import Publisher, small_release


@pytest.fixture(params=["local", "gs"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty registry in each kind of storage."""
    if request.param == "gs":
        return storage.join(request.getfixturevalue("cloud_storage"), tmp_path.name, "registry")
    return str(tmp_path / "registry")


@pytest.fixture
def publish_small(tmp_path: Path, registry: str) -> Publisher:
    """Publish a small release with this digest; returns its version."""

    def publish_one(digest: str, parent: int | None = None) -> int:
        files, draft = small_release(tmp_path / "export" / digest, digest)
        version, _ = publish(registry, files, draft.model_copy(update={"parent": parent}))
        return version

    return publish_one


@pytest.fixture
def publish_and_roll_out(registry: str, publish_small: Publisher) -> Publisher:
    """Publish a small release after the champion's, and name it the champion."""

    def roll_out(digest: str, parent: int | None = None) -> int:
        version = publish_small(digest, parent)
        write_champion(registry, version)
        return version

    return roll_out
