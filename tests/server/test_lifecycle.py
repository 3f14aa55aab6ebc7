"""The embedded server as time goes by: versions that come, go and fail, and its own end."""

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
from emotion_ai.server.flags import parse_flags
from emotion_ai.server.process import running_server
from emotion_ai.server.server import serve

from support.server_calls import Running, eventually, reload_request, request_for


def test_a_second_server_on_the_same_port_is_refused_with_one_message(running: Running) -> None:
    port = running.address.rpartition(":")[2]
    command = [sys.executable, "-m", "emotion_ai.server", "--registry", "r", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert running.address in line


def _change_under_load(running: Running, versions: list[int]) -> set[int]:
    """Make one version after the other the champion while callers ask; returns who answered."""
    from support.tiny_saved_model import faces

    seen: list[int] = []
    done = threading.Event()

    def ask() -> None:
        with Client(running.address) as client:
            while not done.is_set():
                answer = client.predict_arrays(faces(2))
                # The shift of a release is its number here: a mixture would show.
                shift = answer.outputs["keypoints"][0, 0, 0] - 10 - 10 / 255
                assert abs(shift - answer.version) < 1e-3
                seen.append(answer.version)

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(ask) for _ in range(4)]
        try:
            for version in versions:
                write_champion(str(running.registry), version)
                others = {1, 2} - {version}
                states = {version: "AVAILABLE"} | dict.fromkeys(others, "END")
                eventually(lambda s=states: running.client.model_status() == s)
                eventually(lambda v=version: seen[-1] == v)
        finally:
            done.set()
        for caller in callers:
            caller.result()
    return set(seen)


def test_versions_change_without_a_request_unanswered(running: Running, tmp_path: Path) -> None:
    from support.tiny_saved_model import release

    assert release(running.registry, tmp_path, 2.0, 2.0) == 2
    assert _change_under_load(running, [2, 1]) == {1, 2}


@pytest.mark.slow
def test_fifty_changes_fail_nobody_and_leave_no_memory_behind(running: Running) -> None:
    def resident_kilobytes() -> int:
        status = Path(f"/proc/{running.process_id}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    _change_under_load(running, [2, 1] * 5)
    before = resident_kilobytes()
    _change_under_load(running, [2, 1] * 25)
    assert resident_kilobytes() < 1.25 * before


@pytest.mark.parametrize(
    "damage", ["altered", "absent", "not a model", "warm-up", "cut short", "weights gone"]
)
def test_a_version_that_does_not_load_leaves_the_old_one_serving(
    running: Running, tmp_path: Path, damage: str
) -> None:
    from support.tiny_saved_model import WARMUP_PATH, release

    version = release(running.registry, tmp_path, 3.0, 3.0)
    broken = running.registry / str(version)
    data = broken / "variables" / "variables.data-00000-of-00001"
    if damage == "altered":
        with (broken / "variables" / "variables.index").open("ab") as file:
            file.write(b"more")
    elif damage == "absent":
        shutil.rmtree(broken)
    else:
        # A SavedModel that is no release: TensorFlow alone finds out.
        (broken / "assets.extra" / "release.json").unlink()
    if damage == "not a model":
        (broken / "saved_model.pb").write_bytes(b"no graph")
    elif damage == "warm-up":
        (broken / WARMUP_PATH).write_bytes(b"no record")
    elif damage == "cut short":
        data.write_bytes(data.read_bytes()[:-1])
    elif damage == "weights gone":
        shutil.rmtree(broken / "variables")
    write_champion(str(running.registry), version)
    eventually(lambda: running.client.model_status().get(version) == "END")
    (status,) = running.client.version_statuses(version)
    assert status.error
    assert running.client.model_status()[1] == "AVAILABLE"
    assert running.predict.Predict(request_for(), timeout=30).model_spec.version.value == 1
    assert f"version {version} does not load" in running.log.read_text()
    write_champion(str(running.registry), 1)
    eventually(lambda: version not in running.client.model_status())
    shutil.rmtree(broken, ignore_errors=True)


def test_a_configuration_that_cannot_be_understood_changes_nothing(running: Running) -> None:
    config = running.registry / "models.config"
    good = config.read_text()
    for bad in ("model_config_list {", "", good.replace('"tensorflow"', '"pytorch"')):
        said = running.log.read_text().count("goes on as before")
        config.write_text(bad)
        eventually(lambda n=said: running.log.read_text().count("goes on as before") > n)
        assert running.client.model_status()[1] == "AVAILABLE"
    config.unlink()
    eventually(lambda: "models.config is gone" in running.log.read_text())
    assert running.predict.Predict(request_for(), timeout=30).model_spec.version.value == 1
    write_champion(str(running.registry), 1)


def test_the_reload_request_changes_what_is_held_until_the_next_poll(running: Running) -> None:
    config = running.registry / "models.config"
    hidden = config.rename(running.registry / "hidden")
    request = reload_request(running.registry, name="other")
    model = request.config.model_config_list.config[0]
    model.model_version_policy.all.SetInParent()
    assert running.models.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
    # A label goes to a version that answers already, and to no other.
    model.version_labels["stable"] = 1
    running.models.HandleReloadConfigRequest(request, timeout=60)
    response = running.predict.Predict(
        request_for(name="other", version_label="stable"), timeout=30
    )
    assert response.model_spec.version.value == 1
    assert running.client.model_status()[1] == "END"
    hidden.rename(config)
    eventually(lambda: running.client.model_status()[1] == "AVAILABLE")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, "INVALID_ARGUMENT", "Only ModelConfigList is currently supported"),
        ({"model_platform": ""}, "INVALID_ARGUMENT", "neither ModelServerConfig::model_type"),
        ({"model_platform": "torch"}, "INVALID_ARGUMENT", "unsupported platform torch"),
        ({"base_path": "registry"}, "INVALID_ARGUMENT", "absolute path"),
        ({"base_path": "/absent"}, "UNAVAILABLE", "Could not find base path /absent"),
        ({"twice": True}, "INVALID_ARGUMENT", "Illegal to list model new multiple times"),
        ({"label": 1}, "FAILED_PRECONDITION", "version 1 of model new, which is not currently"),
        ({"version": 99}, "UNKNOWN", "1 model(s) did not become available: {{{name: new version:"),
    ],
)
def test_a_reload_request_that_cannot_be_changes_nothing_that_answers(
    running: Running, fields: dict[str, Any], code: str, words: str
) -> None:
    request = reload_request(running.registry, name="new")
    models = request.config.model_config_list.config
    models.add(name="emotion_ai", base_path=str(running.registry), model_platform="tensorflow")
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
        running.models.HandleReloadConfigRequest(request, timeout=60)
    assert raised.value.code().name == code
    assert words in raised.value.details()
    assert running.predict.Predict(request_for(), timeout=30).model_spec.version.value == 1


def test_sigterm_answers_what_is_under_way_and_ends_well(tmp_path: Path) -> None:
    from support.tiny_saved_model import faces, write_slow_model

    registry = tmp_path / "registry"
    write_slow_model(registry / "1")
    write_champion(str(registry), 1)
    log = tmp_path / "log"
    command = [sys.executable, "-m", "emotion_ai.server", "--registry", str(registry), "--port=0"]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            eventually(lambda: "version 1 answers" in log.read_text())
            address = log.read_text().split()[3]
            with Client(address) as client, ThreadPoolExecutor(1) as pool:
                answer = pool.submit(client.predict_arrays, faces(2))
                eventually(lambda: "under way" in log.read_text())
                process.terminate()
                assert answer.result().outputs["steps"].tolist() == [3000, 3000]
                assert process.wait(timeout=60) == 0
                with pytest.raises(Unavailable, match=address):
                    client.predict_arrays(faces(1))
        finally:
            process.kill()


def test_a_registry_in_cloud_storage_is_served(
    cloud_storage: str, tmp_path: Path, running: Running
) -> None:
    from emotion_ai import storage

    source = running.registry / "1"
    for path in (p for p in source.rglob("*") if p.is_file()):
        uri = storage.join(cloud_storage, "served", "1", str(path.relative_to(source)))
        storage.write_bytes(uri, path.read_bytes())
    registry = f"{cloud_storage}/served"
    write_champion(registry, 1)
    with running_server(registry, tmp_path / "log") as address, Client(address) as client:
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})


def test_an_address_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"192\.0\.2\.1:0"):
        serve(parse_flags(["--registry", str(tmp_path), "--host=192.0.2.1", "--port=0"], "serve"))
