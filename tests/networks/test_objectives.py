"""The loss of keypoints and the class weights of emotions."""

import numpy as np
import pytest

from emotion_ai.networks.objectives import expression_objective, keypoint_objective


def test_masked_huber_ignores_keypoints_not_annotated() -> None:
    objective = keypoint_objective()
    targets = np.random.default_rng(1).uniform(0, 96, (4, 15, 2)).astype(np.float32)
    targets[:, 4:] = np.nan
    y, _ = objective.encode(targets)
    predicted = np.nan_to_num(targets, nan=0.0) + 1.0
    displaced = predicted.copy()
    displaced[:, 4:] += 50.0
    loss = np.array(objective.loss(y, predicted))
    np.testing.assert_allclose(loss, np.array(objective.loss(y, displaced)), rtol=1e-6)
    # Huber's loss of one pixel with delta 2: 0.5 * 1 * 1 / 2.
    np.testing.assert_allclose(loss, 0.25, rtol=1e-4)


def test_expression_objective_weighs_rare_emotions_more_with_mean_one() -> None:
    counts = np.array([400, 100, 25])
    _, weights = expression_objective(counts, 0.0).encode(np.array([0, 1, 2], np.uint8))
    assert weights[1] == pytest.approx(2 * weights[0])
    assert weights[2] == pytest.approx(4 * weights[0])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
