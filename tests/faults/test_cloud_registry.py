"""A registry in Cloud Storage from the first push to a rollback."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import VerificationError
from emotion_ai.faces.arrays import FacesInfo, FacesWriter, Rows
from emotion_ai.registry.champion import read_champion, read_config
from emotion_ai.registry.digest import CONTENT_PATH
from emotion_ai.registry.releases import WARMUP_PATH, list_versions, release_uri, verify_release
from emotion_ai.registry.reports import record_reports
from emotion_ai.registry.runs import read_json, read_records, run_uri, write_record
from emotion_ai.rollouts.description import describe
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.server.process import running_server
from emotion_ai.serving_api.warmup import write_warmup
from emotion_ai.steps.notify.run import run as notify
from emotion_ai.steps.push.run import run as push

from support.tiny_saved_model import LABELS, gray_faces, prediction_logs, write_saved_model

_GATE = {"outcome": "accepted", "reasons": ["it is the first"], "metrics": {"accuracy": 0.5}}


def _artifacts(folder: Path, shift: float, golden_shift: float) -> list[str]:
    """Write the artifacts that combine, validate, evaluate and prepare pass to push."""
    model = write_saved_model(folder / "saved_model", shift)
    content = {
        "label_set": "fer7",
        "labels": LABELS,
        "signatures": {},
        "weights_sha256": f"{shift:.0f}" * 64,
    }
    (model / CONTENT_PATH).parent.mkdir(exist_ok=True)
    (model / CONTENT_PATH).write_text(json.dumps(content))
    write_warmup(str(folder / "warmup"), prediction_logs(golden_shift, gray_faces(2)))
    (folder / "gate").write_text(json.dumps(_GATE))
    rows = np.arange(3)
    for kind, targets in (
        ("keypoints", np.zeros((3, 15, 2), np.float32)),
        ("expression", np.zeros(3, np.uint8)),
    ):
        info = FacesInfo(kind=kind, image_size=8, source=f"{kind}.csv", fingerprint="f" * 64)
        with FacesWriter(folder / kind, info) as writer:
            images = np.zeros((3, 8, 8), np.uint8)
            writer.append(Rows(images, targets, rows.astype(np.uint8), rows, rows))
    names = ("saved_model", "warmup", "gate", "keypoints", "expression")
    return [str(folder / name) for name in names]


def _served_release(server: str) -> tuple[int, float]:
    with Client(server) as client:
        answer = client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8))
    return answer.version, float(answer.outputs["keypoints"][0, 0, 0])


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_registry_life_cycle(cloud_storage: str, tmp_path: Path) -> None:
    registry = storage.join(cloud_storage, tmp_path.name, "registry")

    def push_run(shift: float, golden_shift: float | None = None, keep: int = 10) -> str:
        folder = tmp_path / f"run-{shift:.0f}"
        golden_shift = shift if golden_shift is None else golden_shift
        paths = _artifacts(folder, shift, golden_shift)
        version = push(*paths, registry, folder.name, "revision", keep)
        shutil.rmtree(folder)
        return version

    assert push_run(1.0) == "1"
    assert push_run(1.0) == "1"
    assert read_champion(registry) is None

    with running_server(registry, tmp_path / "server.log") as server:
        assert "waiting for the first rollout" in (tmp_path / "server.log").read_text()
        record = roll_out(registry, 1, server)
        assert (record["previous"], record["answers_checked"]) == (None, 2)
        assert _served_release(server) == (1, 11.0)
        config = read_config(registry)
        assert config.model_config_list.config[0].base_path == registry

        _assert_run_recorded(registry, record, tmp_path)

        assert push_run(2.0) == "2"
        assert _served_release(server) == (1, 11.0)
        assert roll_out(registry, 2, server)["previous"] == 1
        assert _served_release(server) == (2, 12.0)

        assert push_run(3.0, golden_shift=4.0) == "3"
        with pytest.raises(
            VerificationError, match="release 2 is the champion, as before, and answers"
        ):
            roll_out(registry, 3, server)
        assert _served_release(server) == (2, 12.0)

        assert [push_run(4.0, keep=1), push_run(5.0, keep=1)] == ["4", "5"]
        assert list_versions(registry) == [1, 2, 5]
        assert storage.list_names(release_uri(registry, 3)) == []
        assert read_records(registry, "run-5")["push"]["removed"] == [4]

        description = describe(registry, None, server)
        assert [release["version"] for release in description["releases"]] == [1, 2, 5]
        assert description["serving"]["versions"]["2"] == "AVAILABLE"

        assert roll_out(registry, 1, server)["previous"] == 2
        assert _served_release(server) == (1, 11.0)
    for version in (1, 2, 5):
        verify_release(registry, version)
    assert storage.list_names(registry) == ["1", "2", "5", "models.config", "runs"]

    warmup_uri = storage.join(release_uri(registry, 1), WARMUP_PATH)
    storage.write_bytes(warmup_uri, b"altered")
    log = tmp_path / "again.log"
    with running_server(registry, log) as server, Client(server) as client:
        _wait_until(lambda: any(status.error for status in client.version_statuses()))
    assert f"{WARMUP_PATH}: was altered" in log.read_text()


def _assert_run_recorded(registry: str, rolled_out: dict, tmp_path: Path) -> None:
    page = tmp_path / "report"
    page.write_text("<html>metrics</html>")
    record_reports({"evaluation": str(page)}, registry, "run-1")
    write_record(registry, "run-1", "rollout", rolled_out)
    notify({"state": "SUCCEEDED", "error": ""}, registry, "run-1")
    summary = read_json(storage.join(run_uri(registry, "run-1"), "run.json"))
    assert (summary["outcome"], summary["champion"]) == ("accepted", 1)
    assert summary["reports"] == ["evaluation"]
    assert storage.list_names(run_uri(registry, "run-1")) == [
        "index.html",
        "push.json",
        "reports",
        "rollout.json",
        "run.json",
    ]
