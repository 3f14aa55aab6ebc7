"""The step validate, with a real server process: verdict, report and golden requests."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.serving_api.tensors import read_tensor
from emotion_ai.serving_api.warmup import read_warmup
from emotion_ai.steps.validate.run import run as validate


class Outcome(NamedTuple):
    """The result and the outputs of validate."""

    accepted: bool
    verdict: dict[str, Any]
    report: str
    golden: list[Any]


Validator = Callable[..., Outcome]


@pytest.fixture(scope="session")
def golden_answers(tiny_saved_model: Path) -> dict[str, np.ndarray]:
    """A few faces and the exported graph's outputs, as combine writes them."""
    import tensorflow as tf

    from support.tiny_saved_model import gray_faces

    images = gray_faces(8)
    model = tf.saved_model.load(str(tiny_saved_model))
    outputs = model.signatures["serving_default"](images=tf.constant(images))
    answers = {name: tensor.numpy() for name, tensor in outputs.items()}
    texts = {name: answers[name].astype(str) for name in ("emotion", "emotion_labels")}
    return {"images": images, **answers, **texts}


@pytest.fixture
def run_validate(tmp_path: Path) -> Validator:
    """Run validate on a SavedModel with these golden answers and limits."""

    def run(saved_model: Path, golden: dict[str, np.ndarray], **limits: object) -> Outcome:
        # KFP's artifacts have no suffix.
        np.savez(tmp_path / "golden.npz", **golden)
        (tmp_path / "golden.npz").rename(tmp_path / "golden")
        paths = [str(tmp_path / name) for name in ("warmup", "verdict", "report")]
        accepted = validate(str(saved_model), str(tmp_path / "golden"), limits, *paths)
        return Outcome(
            accepted,
            json.loads(Path(paths[1]).read_text()),
            Path(paths[2]).read_text(),
            read_warmup(paths[0]),
        )

    return run


def test_validate_accepts_a_sound_model_and_writes_golden_requests(
    run_validate: Validator, tiny_saved_model: Path, golden_answers: dict[str, np.ndarray]
) -> None:
    # KFP turns the ints of a dict into floats.
    outcome = run_validate(
        tiny_saved_model, golden_answers, latency_calls=5.0, p50_budget_ms=1e-6, p99_budget_ms=1e6
    )
    assert outcome.accepted
    assert outcome.verdict["outcome"] == "accepted"
    assert outcome.verdict["reasons"] == []
    (warning,) = outcome.verdict["warnings"]
    assert "over the budget of 1e-06 ms" in warning
    names = {check["name"] for check in outcome.verdict["checks"]}
    assert {"loads", "serving_default/keypoints", "encoded/emotion_probabilities"} <= names
    assert "latency/p99_ms" in names
    logs = [log.predict_log for log in outcome.golden]
    signatures = [log.request.model_spec.signature_name for log in logs]
    assert signatures == ["serving_default", "encoded"]
    for log in logs:
        keypoints = read_tensor(log.response.outputs["keypoints"])
        np.testing.assert_allclose(keypoints, golden_answers["keypoints"], atol=1e-3)
        emotions = [name.decode() for name in read_tensor(log.response.outputs["emotion"])]
        assert emotions == golden_answers["emotion"].tolist()
    assert "Validation in the model server" in outcome.report
    assert "serving emotion_ai on" in outcome.report


def test_validate_rejects_different_answers_and_latency_over_budget(
    run_validate: Validator, tiny_saved_model: Path, golden_answers: dict[str, np.ndarray]
) -> None:
    altered = dict(golden_answers)
    altered["keypoints"] = golden_answers["keypoints"] + np.float32(0.01)
    altered["emotion_labels"] = np.roll(golden_answers["emotion_labels"], 1, axis=1)
    limits = {"latency_calls": 3, "p50_budget_ms": 1e-6, "reject_over_budget": True}
    outcome = run_validate(tiny_saved_model, altered, tolerance=5e-3, **limits)
    assert not outcome.accepted
    assert outcome.golden == []
    assert outcome.verdict["warnings"] == []
    reasons = " / ".join(outcome.verdict["reasons"])
    for signature in ("serving_default", "encoded"):
        assert f"{signature}: keypoints are not within 0.005" in reasons
        assert f"{signature}: emotions are not named as exported" in reasons
        assert f"{signature}: emotion_probabilities" not in reasons
    assert "50 % of single-face requests" in reasons


def test_validate_rejects_a_model_that_does_not_load(
    run_validate: Validator,
    tiny_saved_model: Path,
    golden_answers: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_saved_model, broken)
    for file in (broken / "variables").iterdir():
        file.write_bytes(b"damaged")
    outcome = run_validate(broken, golden_answers)
    assert not outcome.accepted
    assert "the server cannot load the model" in outcome.verdict["reasons"][0]
    assert outcome.golden == []
    assert "does not load" in outcome.report


def test_validate_rejects_a_model_without_the_encoded_signature(
    run_validate: Validator, golden_answers: dict[str, np.ndarray], tmp_path: Path
) -> None:
    import tensorflow as tf

    from support.tiny_saved_model import TinyModel

    model = TinyModel(0.0)
    path = tmp_path / "half"
    tf.saved_model.save(model, str(path), signatures={"serving_default": model.from_images})
    outcome = run_validate(path, golden_answers)
    assert not outcome.accepted
    assert "encoded" in outcome.verdict["reasons"][0]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"tolerance": 0}, "setting validation.tolerance = 0"),
        ({"surprise": 1}, "setting validation.surprise is unknown"),
        ({"latency_calls": 2.5}, "setting validation.latency_calls = 2.5"),
    ],
)
def test_validate_rejects_invalid_limits(
    limits: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        validate(str(tmp_path), str(tmp_path / "golden"), limits, "", "", "")


def test_validate_rejects_invalid_golden_answers(
    golden_answers: dict[str, np.ndarray], tmp_path: Path
) -> None:
    golden = tmp_path / "golden.npz"
    for name, values, message in (
        ("keypoints", np.zeros((8, 14, 2)), "keypoints has shape"),
        ("emotion", np.array(["happy"], dtype=object), "not the golden answers"),
    ):
        np.savez(golden, **(golden_answers | {name: values}))
        with pytest.raises(InputError, match=message):
            validate(str(tmp_path), str(golden), {}, "", "", "")
    golden.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"golden\.npz: not the golden answers"):
        validate(str(tmp_path), str(golden), {}, "", "", "")
