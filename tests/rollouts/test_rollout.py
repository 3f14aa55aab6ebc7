"""Rollout, forward and back, on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable, VerificationError
from emotion_ai.registry.champion import read_champion
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.server.process import running_server


class House(NamedTuple):
    """A registry, a server over it, and room for what the tests make."""

    registry: str
    server: str
    scratch: Path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    scratch = tmp_path_factory.mktemp("rollout")
    registry = scratch / "registry"
    registry.mkdir()
    with running_server(str(registry), scratch / "server.log") as address:
        yield House(str(registry), address, scratch)


def _release(house: House, shift: float, golden_shift: float | None = None) -> int:
    from support.tiny_saved_model import publish_tiny_release

    golden_shift = shift if golden_shift is None else golden_shift
    return publish_tiny_release(Path(house.registry), house.scratch, shift, golden_shift)


def _answering(house: House) -> int:
    with Client(house.server) as client:
        return client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).version


def test_forward_again_back_and_what_goes_wrong(house: House) -> None:
    wrong = _release(house, 0.0, golden_shift=0.5)
    with pytest.raises(Unavailable, match=r"keypoints that differ by 0\.5"):
        roll_out(house.registry, wrong, house.server)
    assert read_champion(house.registry) is None
    with pytest.raises(Unavailable, match="has no such model or version"):
        _answering(house)

    first, second = _release(house, 1.0), _release(house, 2.0)
    record = roll_out(house.registry, first, house.server)
    assert (record["version"], record["previous"]) == (first, None)
    assert record["answers_checked"] == 3
    assert record["largest_difference"] <= 1e-3
    assert _answering(house) == first

    assert roll_out(house.registry, second, house.server)["previous"] == first
    assert _answering(house) == second
    again = roll_out(house.registry, second, house.server)
    assert (again["version"], again["previous"]) == (second, second)

    assert roll_out(house.registry, first, house.server)["previous"] == second
    assert read_champion(house.registry) == first
    assert _answering(house) == first

    with pytest.raises(Unavailable, match=f"release {first} is the champion, as before, and answ"):
        roll_out(house.registry, wrong, house.server)
    assert read_champion(house.registry) == first
    assert _answering(house) == first


def test_a_release_the_server_cannot_load_leaves_the_champion(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion, broken = _release(house, 4.0), _release(house, 5.0)
    roll_out(house.registry, champion, house.server)
    _break_graph(Path(house.registry) / str(broken))
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"does not load release {broken}"):
            roll_out(house.registry, broken, house.server)
        assert read_champion(house.registry) == champion
        assert _answering(house) == champion


def _break_graph(release: Path) -> None:
    """Ruin the graph and let release.json say that it is as it should be."""
    from emotion_ai.registry.digest import file_digest
    from emotion_ai.registry.releases import INFO_PATH, ReleaseInfo

    (release / "saved_model.pb").write_bytes(b"no graph")
    info = ReleaseInfo.model_validate_json((release / INFO_PATH).read_text())
    files = info.files | {"saved_model.pb": file_digest(release / "saved_model.pb")}
    (release / INFO_PATH).write_text(info.model_copy(update={"files": files}).model_dump_json())


def test_what_is_not_in_order_changes_nothing(house: House) -> None:
    champion = _release(house, 6.0)
    roll_out(house.registry, champion, house.server)
    altered = _release(house, 7.0)
    with (Path(house.registry) / str(altered) / "saved_model.pb").open("ab") as file:
        file.write(b"more")
    with pytest.raises(VerificationError, match=r"saved_model\.pb: was altered"):
        roll_out(house.registry, altered, house.server)
    with pytest.raises(InputError, match="no release 99"):
        roll_out(house.registry, 99, house.server)
    with pytest.raises(InputError, match="kubernetes is not built yet"):
        roll_out(house.registry, champion, house.server, target="kubernetes")
    with pytest.raises(InputError, match="mainframe"):
        roll_out(house.registry, champion, house.server, target="mainframe")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        roll_out(house.registry, champion, "127.0.0.1:1")
    assert read_champion(house.registry) == champion
    assert _answering(house) == champion


def test_a_server_of_another_registry_is_noticed(house: House, tmp_path: Path) -> None:
    from support.tiny_saved_model import publish_tiny_release

    (tmp_path / "scratch").mkdir()
    version = 1
    while (Path(house.registry) / str(version)).exists():
        version += 1
    elsewhere = tmp_path / "registry"
    (elsewhere / str(version - 1)).mkdir(parents=True)
    assert publish_tiny_release(elsewhere, tmp_path / "scratch", 8.0, 8.0) == version
    with pytest.raises(Unavailable, match="does it serve"):
        roll_out(str(elsewhere), version, house.server, timeout_s=3.0)
    assert read_champion(str(elsewhere)) is None


def test_what_combine_measured_between_the_engines_is_allowed(house: House) -> None:
    from support.tiny_saved_model import publish_tiny_release

    told = {"weights": "int8", "largest_difference": 0.5}
    version = publish_tiny_release(Path(house.registry), house.scratch, 9.0, 9.4, lite=told)
    assert roll_out(house.registry, version, house.server)["largest_difference"] > 0.3
    far = publish_tiny_release(Path(house.registry), house.scratch, 9.0, 9.6, lite=told)
    with pytest.raises(Unavailable, match=r"keypoints that differ by 0\.6"):
        roll_out(house.registry, far, house.server)
