"""Metrics against values computed by hand, and properties that hold for all data."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emotion_ai.faces.keypoints import MIRROR, NAMES
from emotion_ai.steps.evaluate import metrics

LABELS = ("angry", "happy", "sad")


def faces(count: int) -> np.ndarray:
    """Keypoints with eyes 40 px apart and all others in the centre."""
    truth = np.full((count, 15, 2), 48.0, np.float32)
    truth[:, NAMES.index("left_eye_center"), 0] = 68
    truth[:, NAMES.index("right_eye_center"), 0] = 28
    return truth


def test_keypoint_scores_ignores_coordinates_without_annotation() -> None:
    truth = np.full((2, 15, 2), np.nan, np.float32)
    truth[0, 0] = (10, 20)
    truth[1, 3, 0] = 30
    predicted = np.zeros((2, 15, 2), np.float32)
    predicted[0, 0] = (13, 16)
    predicted[1, 3, 0] = 30
    scores = metrics.keypoint_scores(predicted, truth)
    assert scores["rmse_px"] == pytest.approx(math.sqrt((9 + 16 + 0) / 3))
    assert scores["rmse_px/left_eye_center"] == pytest.approx(math.sqrt(12.5))
    assert scores["rmse_px/left_eye_outer_corner"] == 0.0
    assert "rmse_px/nose_tip" not in scores
    assert "nme" not in scores, "no face has both eye centres"


def test_keypoint_scores_divides_nme_by_the_eye_distance() -> None:
    truth = faces(4)
    predicted = truth + np.float32([3, 4]) * np.float32([0, 0.3, 0.5, 2])[:, None, None]
    scores = metrics.keypoint_scores(predicted, truth)
    # Distances of 0, 1.5, 2.5 and 10 px at 40 px between the eyes.
    assert scores["nme"] == pytest.approx((0 + 1.5 + 2.5 + 10) / 4 / 40)
    assert scores["share_under_5_percent_nme"] == 0.5
    assert metrics.normalised_errors(predicted, truth)[3] == pytest.approx(0.25)


def test_normalised_errors_is_nan_for_coinciding_eyes() -> None:
    truth = np.full((1, 15, 2), 48.0, np.float32)
    assert np.isnan(metrics.normalised_errors(truth, truth)).all()


def test_expression_scores_matches_values_by_hand() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1], np.uint8)
    predicted = [0, 0, 0, 1, 1, 2]
    probabilities = np.full((6, 3), 0.1)
    probabilities[np.arange(6), predicted] = 0.8
    scores = metrics.expression_scores(probabilities, truth, LABELS)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["recall/angry"] == pytest.approx(3 / 4)
    assert scores["recall/happy"] == pytest.approx(1 / 2)
    assert "recall/sad" not in scores, "no face is sad"
    assert scores["precision/happy"] == pytest.approx(1 / 2)
    assert scores["precision/sad"] == 0.0
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert scores["macro_f1"] == pytest.approx((6 / 7 + 1 / 2) / 2)
    assert scores["calibration_error"] == pytest.approx(0.8 - 4 / 6)
    matrix = metrics.confusion(probabilities, truth, 3)
    assert matrix.tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_reliability_weighs_bins_by_their_faces() -> None:
    # 90 faces at 60 %, 60 % right (perfect); 10 at 95 %, none right.
    confidence = np.concatenate([np.full(90, 0.6), np.full(10, 0.95)])
    correct = np.concatenate([np.arange(90) < 54, np.zeros(10, bool)])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    bins = metrics.reliability(probabilities, np.where(correct, 0, 1))
    assert bins.error == pytest.approx(0.1 * 0.95)
    assert bins.share.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_are_absent_for_predictions_that_are_not_finite(bad: float) -> None:
    truth = faces(4)
    predicted = truth.copy()
    predicted[2, 5, 1] = bad
    assert metrics.keypoint_scores(predicted, truth) == {"rows": 4.0, "finite_share": 0.75}
    assert metrics.keypoint_intervals(predicted, truth, np.full(4, -1)) == {}
    probabilities = np.full((4, 3), 1 / 3)
    probabilities[0, 1] = bad
    codes = np.zeros(4, np.uint8)
    assert metrics.expression_scores(probabilities, codes, LABELS) == {
        "rows": 4.0,
        "finite_share": 0.75,
    }
    assert metrics.confusion(probabilities, codes, 3).sum() == 3


def test_scores_are_absent_for_an_empty_split() -> None:
    assert metrics.keypoint_scores(faces(0), faces(0)) == {"rows": 0.0}
    empty = np.empty((0, 3))
    assert metrics.expression_scores(empty, np.empty(0, np.uint8), LABELS) == {"rows": 0.0}
    assert metrics.confusion(empty, np.empty(0, np.uint8), 3).sum() == 0


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_annotation_bias_does_not_depend_on_the_bias_of_the_model(
    bias: float, learnt: float
) -> None:
    rng = np.random.default_rng(1)
    right = np.array([1.0, 0.0])  # a unit vector
    marked = rng.uniform(0, 95, (4, 15, 2))
    mirrored = marked[:, MIRROR] * [-1, 1] + 95 * right
    truth = marked + bias * right
    truth[0, 3:] = np.nan
    predictions = marked + learnt * right, mirrored + learnt * right
    scores = metrics.annotation_bias(*predictions, truth)
    assert scores["annotation_bias_px"] == pytest.approx(bias, abs=1e-6)
    all_nan = np.full_like(truth, np.nan)
    assert metrics.annotation_bias(marked, mirrored, all_nan) == {}
    assert metrics.annotation_bias(marked, all_nan, truth) == {}


finite = st.floats(-200, 200, width=32)


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(15), st.just(2)), elements=finite)
)
def test_keypoint_scores_are_finite_and_zero_only_for_the_truth(predicted: np.ndarray) -> None:
    truth = faces(len(predicted))
    scores = metrics.keypoint_scores(predicted, truth)
    json.dumps(scores, allow_nan=False)
    assert (scores["rmse_px"] == 0) == np.array_equal(predicted, truth)
    assert metrics.keypoint_scores(truth, truth)["share_under_5_percent_nme"] == 1.0
    worst = max(scores[f"rmse_px/{name}"] for name in NAMES)
    assert scores["rmse_px"] <= worst + 1e-6


@given(st.data())
def test_expression_scores_do_not_depend_on_the_order_of_rows(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    truth = data.draw(hnp.arrays(np.uint8, count, elements=st.integers(0, 2)))
    shares = data.draw(hnp.arrays(np.float64, (count, 3), elements=st.floats(0.01, 1.0)))
    shares /= shares.sum(axis=1, keepdims=True)
    order = np.array(data.draw(st.permutations(range(count))))
    scores = metrics.expression_scores(shares, truth, LABELS)
    assert metrics.expression_scores(shares[order], truth[order], LABELS) == pytest.approx(scores)
    assert all(0.0 <= scores[name] <= 1.0 for name in scores if name != "rows")
    assert metrics.confusion(shares, truth, 3).trace() == round(scores["accuracy"] * count)


def test_expression_intervals_contain_the_score_and_shrink_with_more_faces() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for count in (100, 1600):
        truth = rng.integers(0, 3, count)
        shares = np.eye(3)[np.where(rng.random(count) < 0.7, truth, (truth + 1) % 3)]
        low, high = metrics.expression_intervals(shares, truth, np.full(count, -1)).values()
        assert low < (shares.argmax(1) == truth).mean() < high
        widths.append(high - low)
    # Four times as narrow for sixteen times the faces; normal theory for 1,600 gives 0.045.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)
    assert widths[1] == pytest.approx(0.045, rel=0.15)


def test_keypoint_intervals_resample_people() -> None:
    rng = np.random.default_rng(4)
    truth = faces(60)
    predicted = truth + rng.normal(0, 2, truth.shape).astype(np.float32)
    people = np.arange(60)
    once = metrics.keypoint_intervals(predicted, truth, people)
    frames = metrics.keypoint_intervals(
        predicted.repeat(10, 0), truth.repeat(10, 0), people.repeat(10)
    )
    assert frames == pytest.approx(once)
    independent = metrics.keypoint_intervals(
        predicted.repeat(10, 0), truth.repeat(10, 0), np.full(600, -1)
    )
    assert (independent["rmse_px_high"] - independent["rmse_px_low"]) < 0.5 * (
        once["rmse_px_high"] - once["rmse_px_low"]
    )


def test_baselines_match_values_by_hand() -> None:
    truth = faces(2)
    truth[0, 0] = (60, 40)
    truth[1, 0] = np.nan
    truth[:, 7] = np.nan
    mean = metrics.mean_face(truth)
    assert mean[0].tolist() == [60, 40]
    assert mean[7].tolist() == [47.5, 47.5]
    assert metrics.majority_class(np.array([2, 1, 1, 2, 0], np.uint8)) == 1
