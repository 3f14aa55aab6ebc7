"""Corrupted faces: each corruption grows with its severity, and is the same each time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_ai.faces.corruptions import CORRUPTIONS, SEVERITIES, corrupt

from support.face_csv import random_images


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    """Smooth gradients with a dark eye, as uint8 [6, 48, 48]."""
    y, x = np.mgrid[:48, :48]
    face = 60 + 2.2 * x + 0.8 * y - 50 * (((x - 15) ** 2 + (y - 18) ** 2) < 20)
    return np.stack([np.clip(face + 4 * k, 0, 255) for k in range(6)]).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_grows_with_its_severity(name: str, faces: NDArray[np.uint8]) -> None:
    before = faces.copy()
    changed = [corrupt(faces, name, severity) for severity in range(1, SEVERITIES + 1)]
    assert np.array_equal(faces, before)
    for images in changed:
        assert images.dtype == np.uint8
        assert images.shape == faces.shape
    differences = [np.abs(images.astype(float) - faces).mean() for images in changed]
    assert differences == sorted(differences)
    assert differences[0] > 0
    assert np.array_equal(corrupt(faces, name, 2), changed[1])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_pixels_overflow(name: str) -> None:
    extreme = np.zeros((2, 48, 48), np.uint8)
    extreme[1] = 255
    for images in (extreme, random_images(2, 48)):
        assert corrupt(images, name, SEVERITIES).shape == (2, 48, 48)
    # A black face stays dark where only light is taken away.
    assert corrupt(extreme, "too_dark", SEVERITIES)[0].max() == 0
