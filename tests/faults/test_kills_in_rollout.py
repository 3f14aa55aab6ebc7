"""SIGKILL at every write of a rollout: either the old or the new champion answers."""

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

from support.registry_writers import RegistryWriters, running_registry_writers
from support.steady_caller import SteadyCaller

_MAX_WRITES = 60


class Serving(NamedTuple):
    """A registry with two releases, the first of them champion, and a server of it."""

    registry: str
    server: str
    writers: RegistryWriters


@pytest.fixture(scope="module", params=["local", pytest.param("gs", marks=pytest.mark.slow)])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    from support.tiny_saved_model import publish_tiny_release

    scratch = tmp_path_factory.mktemp("kills")
    registry = str(scratch / "registry")
    if request.param == "gs":
        bucket = request.getfixturevalue("cloud_storage")
        registry = storage.join(bucket, scratch.name, "registry")
    assert [publish_tiny_release(registry, scratch, shift, shift) for shift in (1.0, 2.0)] == [1, 2]
    with (
        running_server(registry, scratch / "server.log") as server,
        running_registry_writers() as writers,
    ):
        roll_out(registry, 1, server)
        yield Serving(registry, server, writers)


def test_rollout_recovers_from_a_kill_at_any_write(serving: Serving) -> None:
    with SteadyCaller(serving.server) as caller:
        new = 2
        for write in range(1, _MAX_WRITES):
            before = read_champion(serving.registry)
            outcome = serving.writers.roll_out(
                serving.registry, new, serving.server, kill_at_write=write
            )
            assert outcome["killed"] or not outcome["error"]
            assert read_champion(serving.registry) in (before, new)
            retry = serving.writers.roll_out(serving.registry, new, serving.server)
            assert retry["error"] == ""
            assert read_champion(serving.registry) == new
            assert _leftovers(serving.registry) == set()
            if not outcome["killed"]:
                break
            new = 3 - new
    assert not outcome["killed"]
    assert write > 4
    assert set(caller.answers) == {1, 2}


def _leftovers(registry: str) -> set[str]:
    return set(storage.list_names(registry)) - {"1", "2", "models.config", ".writer.lock"}


def test_concurrent_rollouts_run_one_after_another(serving: Serving) -> None:
    with (
        SteadyCaller(serving.server) as caller,
        running_registry_writers() as others,
        ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(serving.writers.roll_out, serving.registry, 1, serving.server)
        second = pool.submit(others.roll_out, serving.registry, 2, serving.server)
        assert (first.result()["version"], second.result()["version"]) == (1, 2)
        champion = read_champion(serving.registry)
    with Client(serving.server) as client:
        assert client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).version == champion
    assert set(caller.answers) <= {1, 2}


def test_rollout_waits_for_another_writer(serving: Serving) -> None:
    """Otherwise retention could remove a release after its check and before it is named."""
    before = read_champion(serving.registry)
    with ThreadPoolExecutor() as pool:
        with exclusive_writer(serving.registry):
            waiting = pool.submit(
                serving.writers.roll_out, serving.registry, 3 - before, serving.server
            )
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1.5)
            assert read_champion(serving.registry) == before
        assert waiting.result()["version"] == 3 - before
