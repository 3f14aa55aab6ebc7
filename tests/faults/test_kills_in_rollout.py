"""SIGKILL at every write of a rollout: the old champion answers or the new one does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.writer import exclusive_writer
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.server.process import running_server

from support.registry_writers import Victims, running_victims
from support.steady_caller import Caller

_MAX_WRITES = 60


class House(NamedTuple):
    """A registry with two releases, the first of them champion, and a server over it."""

    registry: str
    server: str
    victims: Victims


@pytest.fixture(scope="module", params=["local", pytest.param("gs", marks=pytest.mark.slow)])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    from support.tiny_saved_model import release

    scratch = tmp_path_factory.mktemp("kills")
    registry = str(scratch / "registry")
    if request.param == "gs":
        bucket = request.getfixturevalue("cloud_storage")
        registry = storage.join(bucket, scratch.name, "registry")
    assert [release(registry, scratch, shift, shift) for shift in (1.0, 2.0)] == [1, 2]
    with running_server(registry, scratch / "server.log") as server, running_victims() as victims:
        roll_out(registry, 1, server)
        yield House(registry, server, victims)


def test_whichever_write_a_rollout_dies_at(house: House) -> None:
    with Caller(house.server) as caller:
        new = 2
        for write in range(1, _MAX_WRITES):
            before = read_champion(house.registry)
            victim = house.victims.roll_out(house.registry, new, house.server, at=write)
            assert victim["killed"] or not victim["error"]
            assert read_champion(house.registry) in (before, new)
            again = house.victims.roll_out(house.registry, new, house.server)
            assert again["error"] == ""
            assert read_champion(house.registry) == new
            assert _debris(house.registry) == set()
            if not victim["killed"]:
                break
            new = 3 - new
    assert not victim["killed"]
    assert write > 4
    assert set(caller.answers) == {1, 2}


def _debris(registry: str) -> set[str]:
    return set(storage.list_names(registry)) - {"1", "2", "models.config", ".writer.lock"}


def test_two_rollouts_at_once_follow_one_another(house: House) -> None:
    with Caller(house.server) as caller, running_victims() as others, ThreadPoolExecutor() as pool:
        first = pool.submit(house.victims.roll_out, house.registry, 1, house.server)
        second = pool.submit(others.roll_out, house.registry, 2, house.server)
        assert (first.result()["version"], second.result()["version"]) == (1, 2)
        champion = read_champion(house.registry)
    with Client(house.server) as client:
        assert client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).version == champion
    assert set(caller.answers) <= {1, 2}


def test_a_rollout_waits_for_whoever_writes(house: House) -> None:
    """Else retention could remove a release between its check and its being named."""
    before = read_champion(house.registry)
    with ThreadPoolExecutor() as pool:
        with exclusive_writer(house.registry):
            waiting = pool.submit(house.victims.roll_out, house.registry, 3 - before, house.server)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1.5)
            assert read_champion(house.registry) == before
        assert waiting.result()["version"] == 3 - before
