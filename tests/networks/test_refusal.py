"""When a pair of networks gives no answer: the file, the fit, and what the exported graph says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.export.lite import convert_to_lite
from emotion_ai.export.saved_model import NetworkPair, save_combined
from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.non_faces import KINDS as DRAWN_KINDS
from emotion_ai.faces.non_faces import draw_non_faces
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.networks import refusal_fit
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.refusal import Refusal, pack_refusal, read_refusal
from emotion_ai.networks.refusal_fit import fit_refusal
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import NetworkSpec, spec_for
from emotion_ai.serving_api.golden import Golden, compare_answers, read_golden, write_golden

from support.prepared_faces import write_faces

KINDS = ("keypoints", "expression")
CONSTANTS = Refusal(np.arange(4, dtype=np.float32), np.float32([0.5]), np.float32([0.4]))


class Fitted:
    """Two untrained networks, and when they give no answer, fitted to a few drawn faces."""

    def __init__(self, folder: Path) -> None:
        self.faces = {kind: Faces(write_faces(folder / kind, kind)) for kind in KINDS}
        settings = TrainingSettings(widths=(8, 8))
        self.specs = [spec_for(self.faces[kind].info, settings) for kind in KINDS]
        self.networks = NetworkPair(*map(_network, self.specs))
        self.refusal, self.report = fit_refusal(*self.networks, self.faces)


def _network(spec: NetworkSpec) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    return build_network(spec)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusal_fit, "_MIN_FACES", 10)
        patch.setattr(refusal_fit, "_NON_FACES", 30)
        return Fitted(tmp_path_factory.mktemp("fitted"))


def run_all(fitted: Fitted, folder: Path, refusal: Refusal | None) -> list[dict[str, Any]]:
    """The answers of the SavedModel and of model.tflite to faces and to pictures without one."""
    own = fitted.faces["keypoints"].take(np.arange(12)).images
    images = np.concatenate([own, draw_non_faces("noise", 12, 5, own)])[..., None]
    signatures, _ = save_combined(fitted.networks, fitted.specs, str(folder), refusal)
    import tensorflow as tf

    saved = signatures["serving_default"](images=tf.constant(images))
    lite = LiteModel(convert_to_lite(str(folder), "float32")).run(images)
    return [{name: value.numpy() for name, value in saved.items()}, lite]


def test_both_formats_say_why_and_answer_else_as_without_it(fitted: Fitted, tmp_path: Path) -> None:
    assert fitted.refusal is not None
    plain = run_all(fitted, tmp_path / "plain", None)
    for before, after in zip(
        plain, run_all(fitted, tmp_path / "more", fitted.refusal), strict=True
    ):
        assert after.keys() - before.keys() == {"face_score", "cannot_tell"}
        for name, values in before.items():
            np.testing.assert_array_equal(after[name], values)
        probability = after["emotion_probabilities"].max(1)
        expected = np.where(
            after["face_score"] < 0,
            b"not a face",
            np.where(probability >= fitted.refusal.min_probability, b"", b"ambiguous"),
        )
        assert after["cannot_tell"].tolist() == expected.tolist()
        # Faces are unlike noise, though not by much to networks that learnt nothing.
        assert np.median(after["face_score"][:12]) > np.median(after["face_score"][12:])
        assert (after["face_score"][:12] >= 0).mean() > 0.8


def test_report_has_what_was_lost_refused_and_answered(fitted: Fitted) -> None:
    assert set(fitted.report["lost"]["test"]) == set(KINDS)
    assert max(fitted.report["lost"]["validation"].values()) < 0.05
    assert set(fitted.report["refused"]) == set(DRAWN_KINDS)
    assert max(fitted.report["refused"].values()) > 0.5
    coverages = [point["coverage"] for point in fitted.report["curve"]]
    assert coverages[0] == 1
    assert coverages == sorted(coverages, reverse=True)


def test_fit_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_info

    threads: list[int] = []
    fit = LogisticRegression.fit

    def watched(self: Any, *arguments: Any) -> Any:
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return fit(self, *arguments)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    features = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    weights, bias = refusal_fit._separate(features + 3, [features - 3])
    assert set(threads) == {1}
    assert ((features + 3) @ weights + bias > 0).all()


def test_few_faces_give_no_thresholds_and_the_reason(fitted: Fitted) -> None:
    refusal, report = fit_refusal(*fitted.networks, fitted.faces)
    assert refusal is None
    assert report == {"missing": "fewer than 100 validation faces: keypoints and expression"}


def test_constants_survive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "refusal.npz"
    path.write_bytes(pack_refusal(CONSTANTS))
    for before, after in zip(CONSTANTS, read_refusal(str(path)), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", pack_refusal(CONSTANTS._replace(bias=np.zeros(2, np.float32)))],
    ids=["empty", "text", "shape"],
)
def test_damaged_constants_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "refusal.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not the constants of refusals"):
        read_refusal(str(path))


def test_golden_answers_compare_the_score_and_not_the_word(tmp_path: Path) -> None:
    golden = Golden(
        images=np.zeros((1, 96, 96, 1), np.uint8),
        keypoints=np.zeros((1, 15, 2), np.float32),
        emotion_probabilities=np.float32([[0.6, 0.4]]),
        emotion=np.array(["happy"]),
        emotion_labels=np.array([["happy", "sad"]]),
        face_score=np.float32([0.00001]),
        cannot_tell=np.array([""]),
    )
    write_golden(str(tmp_path / "golden.npz"), golden)
    read = read_golden(str(tmp_path / "golden.npz"))
    other = read.answers | {
        "face_score": np.float32([-0.00001]),
        "cannot_tell": np.array([b"not a face"], object),
    }
    assert compare_answers(read.answers, other, 1e-3) < 1e-3
    del other["face_score"]
    with pytest.raises(Exception, match="face_score"):
        compare_answers(read.answers, other, 1e-3)
