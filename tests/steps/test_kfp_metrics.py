"""What the steps log for KFP's page: the components' own functions, with KFP's artifacts."""

from pathlib import Path
from typing import Any

import pytest
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Markdown, Metrics, Model

from emotion_ai.steps.evaluate.component import evaluate
from emotion_ai.steps.evaluate.gate import Check, GateReport
from emotion_ai.steps.evaluate.verdict import write_verdict
from emotion_ai.steps.ingest.component import ingest
from emotion_ai.steps.train_keypoints.component import train_keypoints

from support.gray_faces import expression_faces, expression_model, keypoint_faces, keypoint_model
from support.prepared_faces import write_faces


def artifact(kind: Any, path: Path | str) -> Any:
    return kind(uri=str(path), metadata={})


def evaluate_pair(folder: Path, **changed: Any) -> dict[str, Any]:
    outputs = {
        "metrics": artifact(Metrics, folder / "metrics"),
        "confusion": artifact(ClassificationMetrics, folder / "confusion"),
        "gate_report": artifact(Artifact, folder / "gate"),
        "verdict": artifact(Markdown, folder / "verdict"),
        "report": artifact(HTML, folder / "report"),
    }
    evaluate.python_func(
        keypoint_faces=artifact(Dataset, keypoint_faces(folder)),
        expression_faces=artifact(Dataset, expression_faces(folder)),
        keypoint_model=artifact(Model, keypoint_model(folder)),
        expression_model=artifact(Model, expression_model(folder)),
        registry=str(folder / "registry"),
        champion="",
        **{"gate": {}, "force_accept": ""} | changed,
        **outputs,
    )
    return outputs


def test_evaluate_logs_verdict_scores_and_counts(tmp_path: Path) -> None:
    outputs = evaluate_pair(tmp_path)
    logged = outputs["metrics"].metadata
    assert logged["gate_accepted"] == 1.0
    assert logged["gate_accepted_by_force"] == logged["gate_checks_failed"] == 0.0
    assert logged["gate_checks_passed"] == 4.0
    assert logged["expression_accuracy"] == logged["expression_macro_f1"] == 1.0
    assert logged["expression_baseline_accuracy"] == pytest.approx(1 / 7)
    assert logged["keypoints_rmse_px"] < 1e-3
    # Gray faces have their eyes in one place: no error can be told by their distance.
    assert "keypoints_share_under_5_percent_error" not in logged
    assert logged["keypoints_test_faces"] == logged["expression_test_faces"] == 42.0
    # Without a champion there is nothing to compare with.
    assert not [name for name in logged if "champion" in name]
    assert all(isinstance(value, float) for value in logged.values())
    text = Path(outputs["verdict"].path).read_text()
    assert text.startswith("# Accepted\n\nChampion: none\n\n- all 4 checks passed; there is no ")
    assert "| passed | keypoint RMSE | test | 0.00 px | better than" in text


def test_evaluate_logs_a_forced_acceptance(tmp_path: Path) -> None:
    reason = "the <b>board</b> | *insists*"
    outputs = evaluate_pair(
        tmp_path,
        gate={"expression": {"accuracy": 1.0}, "keypoints": {"rmse_px": 1e-9}},
        force_accept=reason,
    )
    logged = outputs["metrics"].metadata
    assert (logged["gate_accepted"], logged["gate_accepted_by_force"]) == (1.0, 1.0)
    assert logged["gate_checks_failed"] == 1.0
    text = Path(outputs["verdict"].path).read_text()
    assert text.startswith("# Accepted by force\n")
    assert r"the &lt;b&gt;board&lt;/b&gt; \| \*insists\*" in text
    assert text.index("**failed**") < text.index("| passed |")


def test_verdict_of_a_rejected_pair_names_the_champion(tmp_path: Path) -> None:
    check = Check(
        name="expression/PublicTest/accuracy",
        comparison="champion",
        value=None,
        limit=0.5,
        passed=False,
        sentence="",
    )
    decision = GateReport(
        outcome="rejected", forced="", reasons=["why"], checks=[check], champion=3
    )
    write_verdict(str(tmp_path / "verdict"), decision)
    lines = (tmp_path / "verdict").read_text().splitlines()
    assert lines[:5] == ["# Rejected", "", "Champion: 3", "", "- why"]
    assert lines[-1] == (
        "| **failed** | expression accuracy | PublicTest | not measured | at least 50.0 % "
        "| champion, with tolerance |"
    )


def test_ingest_logs_counts(tmp_path: Path) -> None:
    statistics = artifact(Metrics, tmp_path / "statistics")
    ingest.python_func(
        source="sample://70?seed=1",
        fingerprint="",
        kind="expression",
        label_set="fer7",
        emotions="happy,sad",
        checks={},
        cache_period="",
        faces=artifact(Dataset, tmp_path / "faces"),
        report=artifact(HTML, tmp_path / "report"),
        statistics=statistics,
    )
    logged = statistics.metadata
    assert logged["rows_read"] == 70.0
    assert logged["faces"] + logged["rows_of_other_emotions"] == 70.0
    assert logged["rows_left_out"] == logged["known_persons"] == 0.0


def test_training_logs_its_score_and_length(tmp_path: Path) -> None:
    history = artifact(Metrics, tmp_path / "history")
    train_keypoints.python_func(
        faces=artifact(Dataset, write_faces(tmp_path / "faces", "keypoints")),
        settings={"epochs": 1.0, "batch_size": 32.0, "widths": [8.0, 8.0]},
        seed=1,
        start="",
        checkpoints="",
        model=artifact(Model, tmp_path / "model"),
        history=history,
        curves=artifact(HTML, tmp_path / "curves"),
    )
    logged = history.metadata
    assert set(logged) == {"validation_rmse_px", "best_epoch", "epochs", "seconds", "parameters"}
    assert (logged["epochs"], logged["best_epoch"]) == (1.0, 1.0)
