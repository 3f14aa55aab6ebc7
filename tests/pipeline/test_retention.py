"""How long things stay: the settings, the DAG, and the rule that the README gives the bucket."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.settings import load_environment, load_run_settings
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import INFO_PATH
from emotion_ai.registry.runs import SUMMARY, read_records, run_uri, write_record
from emotion_ai.steps.notify.retention import remove_what_is_old
from emotion_ai.steps.resolve.run import run as resolve
from emotion_ai.storage import gcs_waiting

from support.minimal_release import write_minimal_release

README = (Path(__file__).parents[2] / "pipeline/README.md").read_text()
LIMITS = {"runs_days": 90, "checkpoints_days": 14, "cache_days": 30}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The inputs of each task, in all DAGs of the compiled pipeline."""
    path = tmp_path_factory.mktemp("compiled") / "emotion-ai.yaml"
    compile_pipeline(load_environment("cluster").compile, load_run_settings("cluster"), path)
    spec = next(yaml.safe_load_all(path.read_text()))
    dags = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    return {
        name: task.get("inputs", {}).get("parameters", {})
        for dag in dags
        for name, task in dag["tasks"].items()
    }


def test_a_cluster_has_limits_and_one_machine_has_none() -> None:
    assert load_run_settings("cluster").retention.model_dump() == LIMITS
    assert set(load_run_settings("local").retention.model_dump().values()) == {0}
    with pytest.raises(InputError, match=r"run\.retention\.runs_days = -1"):
        load_run_settings("local", flags={"retention": {"runs_days": -1}})


def test_the_last_step_gets_the_limits_and_the_checkpoints(tasks: dict[str, Any]) -> None:
    assert {"registry", "checkpoints", "retention"} < tasks["notify"].keys()


def test_the_period_of_the_cache_reaches_both_sources(tasks: dict[str, Any]) -> None:
    for name in ("ingest", "ingest-2"):
        producer = tasks[name]["cache_period"]["taskOutputParameter"]
        assert producer == {"outputParameterKey": "cache_period", "producerTask": "resolve"}


def test_all_that_is_cached_is_made_of_what_ingest_made() -> None:
    """So that with another period nothing of the last one is used."""
    from emotion_ai.pipeline.policy import STEPS

    cached = {step for step, policy in STEPS.items() if policy.cached}
    assert cached == {
        "ingest",
        "prepare",
        "train-keypoints",
        "train-expression",
        "evaluate",
        "combine",
        "validate",
    }


def test_the_period_changes_after_its_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def period(days: float, limit: int) -> str:
        monkeypatch.setattr(time, "time", lambda: days * 86_400)
        settings = {"retention": {"cache_days": limit}}
        source = "sample://20?seed=1"
        return resolve(source, source, str(tmp_path), "run-1", settings).cache_period

    assert period(29.9, 30) == "0"
    assert period(30.1, 30) == period(59.9, 30) == "1"
    assert period(29.9, 0) == period(9_999, 0) == ""
    assert read_records(str(tmp_path), "run-1")["resolve"]["cache_period"] == ""


def test_resolve_refuses_limits_that_the_last_step_could_not_read(tmp_path: Path) -> None:
    source = "sample://20?seed=1"
    with pytest.raises(InputError, match=r"retention\.run_days is unknown; retention knows cache_"):
        resolve(source, source, str(tmp_path), "run-1", {"retention": {"run_days": 3}})


def test_notify_removes_what_is_old_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, checkpoints = str(tmp_path / "registry"), str(tmp_path / "checkpoints")
    for run_id in ("old-1", "old-2"):
        write_record(registry, run_id, SUMMARY, {})
    storage.write_bytes(storage.join(checkpoints, f"keypoints-{'0' * 16}", "state.json"), b"{}")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 91 * 86_400)
    remove_what_is_old(registry, checkpoints, {})
    assert len(storage.list_names(storage.join(registry, "runs"))) == 2
    # Numbers as KFP passes them on.
    remove_what_is_old(registry, checkpoints, {"runs_days": 90.0, "checkpoints_days": 14.0})
    assert storage.list_names(storage.join(registry, "runs")) == []
    assert storage.list_names(checkpoints) == []
    assert capsys.readouterr().out.splitlines() == [
        "runs removed, older than 90 days: 2",
        "checkpoints removed, older than 14 days: 1",
    ]


def test_what_cannot_be_removed_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    registry = str(tmp_path / "registry")
    publish(registry, files, draft)
    storage.write_bytes(storage.join(registry, "1", INFO_PATH), b"damaged")
    write_record(registry, "old", SUMMARY, {})
    monkeypatch.setattr(gcs_waiting, "RETRY_SECONDS", 0.5)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 9_999 * 86_400)
    remove_what_is_old(registry, "gs://faces/checkpoints", LIMITS)
    runs, checkpoints = capsys.readouterr().out.splitlines()
    assert runs.startswith("not all old runs were removed: ")
    assert runs.endswith("its run is not known, so no run is removed")
    assert checkpoints.startswith(
        "not all old checkpoints were removed: gs://faces/checkpoints: Cloud"
    )
    assert read_records(registry, "old")


def test_the_rule_of_the_readme_is_longer_than_the_cache_and_spares_the_registry() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    (rule,) = json.loads(text)["rule"]
    assert rule["action"] == {"type": "Delete"}
    settings = load_run_settings("cluster")
    assert rule["condition"]["age"] >= settings.retention.cache_days + 7
    (prefix,) = rule["condition"]["matchesPrefix"]
    for uri in (settings.registry, settings.checkpoints):
        _, _, name = uri.removeprefix("gs://").partition("/")
        assert name
        assert not f"{name}/".startswith(prefix)
        assert not prefix.startswith(f"{name}/")
    assert run_uri("gs://b/r", "x").startswith("gs://b/r/")
