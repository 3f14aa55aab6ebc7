"""What is not as it was published does not answer from a registry."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.releases import INFO_PATH

from support.server_calls import RunningServer, eventually


def _without_info(release: Path) -> None:
    (release / INFO_PATH).unlink()


def _with_another_file(release: Path) -> None:
    (release / "model.tflite").write_bytes(b"of somebody else")


def _with_a_forgotten_file(release: Path) -> None:
    path = release / INFO_PATH
    info = json.loads(path.read_text())
    del info["files"]["saved_model.pb"]
    path.write_text(json.dumps(info))


def _with_a_link_out(release: Path) -> None:
    graph = release / "saved_model.pb"
    graph.rename(release.parent / "elsewhere.pb")
    graph.symlink_to(release.parent / "elsewhere.pb")


REASONS = {
    _without_info: "release.json: no such file",
    _with_another_file: "model.tflite: is no file that release",
    _with_a_forgotten_file: "saved_model.pb: is no file that release",
    _with_a_link_out: "saved_model.pb",
}


@pytest.mark.parametrize("change", REASONS)
def test_only_what_was_published_is_served_from_a_registry(
    server: RunningServer, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    from support.tiny_saved_model import publish_tiny_release

    version = publish_tiny_release(server.registry, tmp_path, 3.0, 3.0)
    release = server.registry / str(version)
    change(release)
    write_champion(str(server.registry), version)
    eventually(lambda: server.client.model_status().get(version) == "END")
    (status,) = server.client.version_statuses(version)
    assert REASONS[change] in status.error
    assert server.client.model_status()[1] == "AVAILABLE"
    write_champion(str(server.registry), 1)
    eventually(lambda: version not in server.client.model_status())
    shutil.rmtree(release)
    (server.registry / "elsewhere.pb").unlink(missing_ok=True)
