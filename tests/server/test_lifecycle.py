"""The embedded server over time: versions that change or fail, reloads, and shutdown."""

import json
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.digest import file_digest
from emotion_ai.registry.releases import INFO_PATH
from emotion_ai.server.flags import parse_flags
from emotion_ai.server.process import SERVING_LINE, running_server
from emotion_ai.server.server import serve

from support.server_calls import RunningServer, eventually, four_face_request, reload_request


def test_serve_exits_if_the_port_is_in_use(server: RunningServer) -> None:
    port = server.address.rpartition(":")[2]
    command = [sys.executable, "-m", "emotion_ai.server", "--registry", "r", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert server.address in line


def _change_under_load(server: RunningServer, versions: list[int]) -> set[int]:
    """Make versions the champion in turn while clients predict; returns those that served."""
    from support.tiny_saved_model import gray_faces

    served: list[int] = []
    done = threading.Event()

    def predict() -> None:
        with Client(server.address) as client:
            while not done.is_set():
                response = client.predict_arrays(gray_faces(2))
                # A release's shift is its version here, so a mixture of versions would show.
                shift = response.outputs["keypoints"][0, 0, 0] - 10 - 10 / 255
                assert abs(shift - response.version) < 1e-3
                served.append(response.version)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(predict) for _ in range(4)]
        try:
            for version in versions:
                write_champion(str(server.registry), version)
                others = {1, 2} - {version}
                states = {version: "AVAILABLE"} | dict.fromkeys(others, "END")
                eventually(lambda s=states: server.client.model_status() == s)
                eventually(lambda v=version: served[-1] == v)
        finally:
            done.set()
        for future in futures:
            future.result()
    return set(served)


def test_version_change_fails_no_request(server: RunningServer, tmp_path: Path) -> None:
    from support.tiny_saved_model import publish_tiny_release

    assert publish_tiny_release(server.registry, tmp_path, 2.0, 2.0) == 2
    assert _change_under_load(server, [2, 1]) == {1, 2}


@pytest.mark.slow
def test_fifty_version_changes_free_their_memory(server: RunningServer) -> None:
    def resident_kilobytes() -> int:
        status = Path(f"/proc/{server.process_id}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    _change_under_load(server, [2, 1] * 5)
    before = resident_kilobytes()
    _change_under_load(server, [2, 1] * 25)
    assert resident_kilobytes() < 1.25 * before


def _name_present_files(release: Path) -> None:
    """Let release.json name the files that are there, as they are."""
    path = release / INFO_PATH
    info = json.loads(path.read_text())
    info["files"] = {
        str(file.relative_to(release)): file_digest(file).model_dump()
        for file in release.rglob("*")
        if file.is_file() and file != path
    }
    path.write_text(json.dumps(info))


@pytest.mark.parametrize(
    "damage", ["altered", "absent", "not a model", "warm-up", "cut short", "weights gone"]
)
def test_failed_version_leaves_the_old_one_serving(
    server: RunningServer, tmp_path: Path, damage: str
) -> None:
    from support.tiny_saved_model import WARMUP_PATH, publish_tiny_release

    version = publish_tiny_release(server.registry, tmp_path, 3.0, 3.0)
    broken = server.registry / str(version)
    data = broken / "variables" / "variables.data-00000-of-00001"
    if damage == "altered":
        with (broken / "variables" / "variables.index").open("ab") as file:
            file.write(b"more")
    elif damage == "absent":
        shutil.rmtree(broken)
    elif damage == "not a model":
        (broken / "saved_model.pb").write_bytes(b"not a graph")
    elif damage == "warm-up":
        (broken / WARMUP_PATH).write_bytes(b"not a record")
    elif damage == "cut short":
        data.write_bytes(data.read_bytes()[:-1])
    elif damage == "weights gone":
        shutil.rmtree(broken / "variables")
    if damage not in ("altered", "absent"):
        # As if it had been published so: then only TensorFlow notices.
        _name_present_files(broken)
    write_champion(str(server.registry), version)
    eventually(lambda: server.client.model_status().get(version) == "END")
    (status,) = server.client.version_statuses(version)
    assert status.error
    assert ("was altered" in status.error) == (damage == "altered")
    assert server.client.model_status()[1] == "AVAILABLE"
    assert server.predict.Predict(four_face_request(), timeout=30).model_spec.version.value == 1
    assert f"version {version} does not load" in server.log.read_text()
    write_champion(str(server.registry), 1)
    eventually(lambda: version not in server.client.model_status())
    shutil.rmtree(broken, ignore_errors=True)


def test_invalid_configuration_changes_nothing(server: RunningServer) -> None:
    config = server.registry / "models.config"
    good = config.read_text()
    for bad in ("model_config_list {", "", good.replace('"tensorflow"', '"pytorch"')):
        logged = server.log.read_text().count("goes on as before")
        config.write_text(bad)
        eventually(lambda n=logged: server.log.read_text().count("goes on as before") > n)
        assert server.client.model_status()[1] == "AVAILABLE"
    config.unlink()
    eventually(lambda: "models.config is gone" in server.log.read_text())
    assert server.predict.Predict(four_face_request(), timeout=30).model_spec.version.value == 1
    write_champion(str(server.registry), 1)


def test_reload_applies_until_the_next_poll(server: RunningServer) -> None:
    config = server.registry / "models.config"
    hidden = config.rename(server.registry / "hidden")
    request = reload_request(server.registry, name="other")
    model = request.config.model_config_list.config[0]
    model.model_version_policy.all.SetInParent()
    assert server.models.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
    # A label needs a version that is available already.
    model.version_labels["stable"] = 1
    server.models.HandleReloadConfigRequest(request, timeout=60)
    response = server.predict.Predict(
        four_face_request(name="other", version_label="stable"), timeout=30
    )
    assert response.model_spec.version.value == 1
    assert server.client.model_status()[1] == "END"
    hidden.rename(config)
    eventually(lambda: server.client.model_status()[1] == "AVAILABLE")


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({}, "INVALID_ARGUMENT", "Only ModelConfigList is currently supported"),
        ({"model_platform": ""}, "INVALID_ARGUMENT", "neither ModelServerConfig::model_type"),
        ({"model_platform": "torch"}, "INVALID_ARGUMENT", "unsupported platform torch"),
        ({"base_path": "registry"}, "INVALID_ARGUMENT", "absolute path"),
        (
            {"base_path": "/absent"},
            "PERMISSION_DENIED",
            "base_path /absent: the server was started",
        ),
        ({"twice": True}, "INVALID_ARGUMENT", "Illegal to list model new multiple times"),
        ({"label": 1}, "FAILED_PRECONDITION", "version 1 of model new, which is not currently"),
        ({"version": 99}, "UNKNOWN", "1 model(s) did not become available: {{{name: new version:"),
    ],
)
def test_invalid_reload_keeps_versions_serving(
    server: RunningServer, fields: dict[str, Any], code: str, message: str
) -> None:
    request = reload_request(server.registry, name="new")
    models = request.config.model_config_list.config
    models.add(name="emotion_ai", base_path=str(server.registry), model_platform="tensorflow")
    models[1].model_version_policy.specific.versions.append(1)
    for field in {"model_platform", "base_path"} & set(fields):
        setattr(models[0], field, fields[field])
    if "twice" in fields:
        models.append(models[0])
    if "label" in fields:
        models[0].version_labels["stable"] = fields["label"]
    if "version" in fields:
        models[0].model_version_policy.specific.versions.append(fields["version"])
    if not fields:
        request.config.Clear()
    with pytest.raises(grpc.RpcError) as raised:
        server.models.HandleReloadConfigRequest(request, timeout=60)
    assert raised.value.code().name == code
    assert message in raised.value.details()
    assert server.predict.Predict(four_face_request(), timeout=30).model_spec.version.value == 1


def test_sigterm_finishes_requests_in_progress(tmp_path: Path) -> None:
    from support.tiny_saved_model import gray_faces, write_slow_model

    registry = tmp_path / "registry"
    write_slow_model(registry / "1")
    write_champion(str(registry), 1)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "emotion_ai.server", "--registry", str(registry), "--port=0"]
    command.append("--allow_unverified_releases")
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            eventually(lambda: "version 1 is available" in log.read_text())
            eventually(lambda: SERVING_LINE.search(log.read_text()) is not None)
            address = SERVING_LINE.search(log.read_text())[1]
            with Client(address) as client, ThreadPoolExecutor(1) as pool:
                future = pool.submit(client.predict_arrays, gray_faces(2))
                eventually(lambda: "under way" in log.read_text())
                process.terminate()
                assert future.result().outputs["steps"].tolist() == [3000, 3000]
                assert process.wait(timeout=60) == 0
                with pytest.raises(Unavailable, match=address):
                    client.predict_arrays(gray_faces(1))
        finally:
            process.kill()


def test_server_serves_registry_in_cloud_storage(
    cloud_storage: str, tmp_path: Path, server: RunningServer
) -> None:
    from emotion_ai import storage

    source = server.registry / "1"
    for path in (p for p in source.rglob("*") if p.is_file()):
        uri = storage.join(cloud_storage, "served", "1", str(path.relative_to(source)))
        storage.write_bytes(uri, path.read_bytes())
    registry = f"{cloud_storage}/served"
    write_champion(registry, 1)
    with running_server(registry, tmp_path / "log") as address, Client(address) as client:
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})


def test_serve_names_unavailable_address(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"192\.0\.2\.1:0"):
        serve(parse_flags(["--registry", str(tmp_path), "--host=192.0.2.1", "--port=0"], "serve"))
