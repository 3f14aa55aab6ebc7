"""Faces and targets mixed in pairs."""

import numpy as np
import pytest

from emotion_ai.networks.mixup import mix_batch
from emotion_ai.networks.settings import TrainingSettings


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_mix_batch_mixes_targets_in_the_shares_of_the_pixels(mixing: dict[str, float]) -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 7, 64)
    grays, class_weights = np.linspace(10, 250, 7), np.linspace(0.5, 2, 7)
    images = np.broadcast_to(grays[codes, None, None, None], (64, 48, 48, 1))
    settings = TrainingSettings(**mixing)
    images, targets, weights = mix_batch(
        (images, np.eye(7)[codes], class_weights[codes]), settings, rng
    )
    shares = targets * weights[:, None] / class_weights
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(shares @ grays, images.mean(axis=(1, 2, 3)), rtol=1e-4)
    assert (shares.max(axis=1) < 0.95).any()
