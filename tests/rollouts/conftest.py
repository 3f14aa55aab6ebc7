"""Fixtures: releases, a cluster in memory, and processes that are run act by act."""

from collections.abc import Callable, Iterator

import pytest

from support.interleaving import Scheduler
from support.rollout_world import World, publish_releases


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry with the releases 1 to 8."""
    return publish_releases(tmp_path_factory.mktemp("releases"))


@pytest.fixture
def new_world(releases: str) -> Iterator[Callable[..., World]]:
    """A function that makes a cluster: one after the other, all with the same registry."""
    patches: list[pytest.MonkeyPatch] = []

    def make(release: int | None = 6) -> World:
        while patches:
            patches.pop().undo()
        patches.append(pytest.MonkeyPatch())
        return World(releases, patches[-1], release)

    yield make
    while patches:
        patches.pop().undo()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """A cluster that serves release 6."""
    return new_world()


@pytest.fixture
def scheduler(world: World) -> Iterator[Scheduler]:
    """Runs processes in that cluster act by act."""
    found = Scheduler(world)
    yield found
    found.end()
