"""Rollouts, forward and back, on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable, VerificationError
from emotion_ai.registry.champion import read_champion
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.server.process import running_server


class Deployment(NamedTuple):
    """A registry, a server that serves it, and a folder for temporary files."""

    registry: str
    server: str
    scratch: Path


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    scratch = tmp_path_factory.mktemp("rollout")
    registry = scratch / "registry"
    registry.mkdir()
    with running_server(str(registry), scratch / "server.log") as address:
        yield Deployment(str(registry), address, scratch)


def _publish(deployment: Deployment, shift: float, golden_shift: float | None = None) -> int:
    from support.tiny_saved_model import publish_tiny_release

    golden_shift = shift if golden_shift is None else golden_shift
    return publish_tiny_release(Path(deployment.registry), deployment.scratch, shift, golden_shift)


def _served_version(deployment: Deployment) -> int:
    with Client(deployment.server) as client:
        return client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).version


def test_roll_out_goes_forward_and_back_and_restores_the_champion(deployment: Deployment) -> None:
    wrong = _publish(deployment, 0.0, golden_shift=0.5)
    with pytest.raises(VerificationError, match=r"keypoints that differ by 0\.5"):
        roll_out(deployment.registry, wrong, deployment.server)
    assert read_champion(deployment.registry) is None
    with pytest.raises(Unavailable, match="has no such model or version"):
        _served_version(deployment)

    first, second = _publish(deployment, 1.0), _publish(deployment, 2.0)
    record = roll_out(deployment.registry, first, deployment.server)
    assert (record["version"], record["previous"]) == (first, None)
    assert (record["target"], record["outcome"]) == ("local", "rolled out")
    assert record["answers_checked"] == 3
    assert record["largest_difference"] <= 1e-3
    assert _served_version(deployment) == first

    assert roll_out(deployment.registry, second, deployment.server)["previous"] == first
    assert _served_version(deployment) == second
    again = roll_out(deployment.registry, second, deployment.server)
    assert (again["version"], again["previous"]) == (second, second)

    assert roll_out(deployment.registry, first, deployment.server)["previous"] == second
    assert read_champion(deployment.registry) == first
    assert _served_version(deployment) == first

    with pytest.raises(
        VerificationError, match=f"release {first} is the champion, as before, and answ"
    ):
        roll_out(deployment.registry, wrong, deployment.server)
    assert read_champion(deployment.registry) == first
    assert _served_version(deployment) == first


def test_roll_out_restores_the_champion_if_a_release_does_not_load(deployment: Deployment) -> None:
    champion, broken = _publish(deployment, 4.0), _publish(deployment, 5.0)
    roll_out(deployment.registry, champion, deployment.server)
    _break_graph(Path(deployment.registry) / str(broken))
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"does not load release {broken}"):
            roll_out(deployment.registry, broken, deployment.server)
        assert read_champion(deployment.registry) == champion
        assert _served_version(deployment) == champion


def _break_graph(release: Path) -> None:
    """Damage the graph, and write its new digest into release.json."""
    from emotion_ai.registry.digest import file_digest
    from emotion_ai.registry.releases import INFO_PATH, ReleaseInfo

    (release / "saved_model.pb").write_bytes(b"no graph")
    info = ReleaseInfo.model_validate_json((release / INFO_PATH).read_text())
    files = info.files | {"saved_model.pb": file_digest(release / "saved_model.pb")}
    (release / INFO_PATH).write_text(info.model_copy(update={"files": files}).model_dump_json())


def test_roll_out_changes_nothing_for_invalid_arguments(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    champion = _publish(deployment, 6.0)
    roll_out(deployment.registry, champion, deployment.server)
    altered = _publish(deployment, 7.0)
    with (Path(deployment.registry) / str(altered) / "saved_model.pb").open("ab") as file:
        file.write(b"more")
    record: dict[str, Any] = {}
    with pytest.raises(VerificationError, match=r"saved_model\.pb: was altered"):
        roll_out(deployment.registry, altered, deployment.server, reason="a try", record=record)
    assert record.pop("seconds") >= 0
    (reason,) = record.pop("reasons")
    assert "was altered" in reason
    assert record == {
        "target": "local",
        "server": deployment.server,
        "version": altered,
        "outcome": "failed",
        "reason": "a try",
    }
    with pytest.raises(InputError, match="no release 99"):
        roll_out(deployment.registry, 99, deployment.server)
    no_file = str(tmp_path / "kubeconfig")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", no_file)
    with pytest.raises(InputError, match="no cluster: this is no pod"):
        roll_out(deployment.registry, champion, deployment.server, target="kubernetes")
    with pytest.raises(InputError, match="mainframe"):
        roll_out(deployment.registry, champion, deployment.server, target="mainframe")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        roll_out(deployment.registry, champion, "127.0.0.1:1")
    assert read_champion(deployment.registry) == champion
    assert _served_version(deployment) == champion


def test_roll_out_detects_a_server_of_another_registry(
    deployment: Deployment, tmp_path: Path
) -> None:
    from support.tiny_saved_model import publish_tiny_release

    (tmp_path / "scratch").mkdir()
    version = 1
    while (Path(deployment.registry) / str(version)).exists():
        version += 1
    elsewhere = tmp_path / "registry"
    (elsewhere / str(version - 1)).mkdir(parents=True)
    assert publish_tiny_release(elsewhere, tmp_path / "scratch", 8.0, 8.0) == version
    before = _served_version(deployment)
    with pytest.raises(Unavailable, match="does it serve"):
        roll_out(str(elsewhere), version, deployment.server, timeout_s=3.0)
    assert read_champion(str(elsewhere)) is None
    assert _served_version(deployment) == before


def test_roll_out_allows_the_measured_difference_of_the_lite_model(deployment: Deployment) -> None:
    from support.tiny_saved_model import publish_tiny_release

    lite = {"weights": "int8", "largest_difference": 0.5}
    version = publish_tiny_release(
        Path(deployment.registry), deployment.scratch, 9.0, 9.4, lite=lite
    )
    assert roll_out(deployment.registry, version, deployment.server)["largest_difference"] > 0.3
    far = publish_tiny_release(Path(deployment.registry), deployment.scratch, 9.0, 9.6, lite=lite)
    with pytest.raises(VerificationError, match=r"keypoints that differ by 0\.6"):
        roll_out(deployment.registry, far, deployment.server)
