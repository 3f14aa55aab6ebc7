"""Drawn faces and steadiness: what evaluate always asks both networks."""

from pathlib import Path

import numpy as np
import pytest

from emotion_ai.steps.evaluate.drawn_faces import REFERENCE, draw_variants
from emotion_ai.steps.evaluate.steadiness import (
    average_looks,
    count_flips,
    measure_jitter,
    move_slowly,
    reencode,
)

from support.evaluate_step import run


def test_the_page_says_what_networks_make_of_drawn_and_still_faces(tmp_path: Path) -> None:
    _, metrics, _, page = run(tmp_path)
    # The gray model tells emotions by brightness, so another tone is another emotion for it.
    assert "Drawn faces are not people" in page
    assert "<td>tone 55</td>" in page
    assert metrics["expression/PrivateTest/drawn_accuracy/glasses"] <= 1
    # Its points are at 10, 20 whatever is drawn.
    assert metrics["keypoints/test/drawn_rmse_px/tone_55"] > 20
    # Nor do they follow a face that moves: what is left is the movement, taken out.
    way = np.outer(np.arange(12), (0.25, 0.125))
    assert metrics["keypoints/test/jitter_px/slow_video"] == pytest.approx(
        np.sqrt(way.var(0).mean())
    )
    assert metrics["keypoints/test/jitter_px/10_JPEG_qualities"] < 0.01
    assert metrics["expression/PrivateTest/flips_per_minute/10_JPEG_qualities"] == 0
    assert "label flips a minute" in page


def test_variants_of_a_drawn_face_differ_in_one_thing() -> None:
    drawn = draw_variants()
    brightness = [drawn.images[f"tone {tone}"].mean() for tone in (55, 90, 125, 165, 205)]
    assert brightness == sorted(brightness)
    reference = drawn.images[REFERENCE].astype(int)
    eyes = drawn.keypoints[:, :2].round().astype(int)
    for name in ("glasses", "signs of age"):
        changed = np.abs(drawn.images[name] - reference) > 8
        assert 0.005 < changed.mean() < 0.5, name
    # A rim is around each eye, and nowhere near the mouth.
    rims = np.abs(drawn.images["glasses"] - reference) > 8
    for face, (left, right) in zip(rims, eyes, strict=True):
        for x, y in (left, right):
            assert face[max(0, y - 16) : y + 16, max(0, x - 16) : x + 16].any()
        assert not face[max(eyes[:, 0, 1].max(), 70) :].any()


def test_a_face_is_moved_to_the_right_and_down() -> None:
    y, x = np.mgrid[:48, :48]
    spot = (220 * np.exp(-((x - 20) ** 2 + (y - 22) ** 2) / 50)).astype(np.uint8)
    weights = move_slowly(spot[None])[0].astype(float)
    weights[weights < 20] = 0
    total = weights.sum((1, 2))
    centres = np.stack([(weights * x).sum((1, 2)) / total, (weights * y).sum((1, 2)) / total], 1)
    # A quarter and an eighth of a pixel of 96 are half as much of 48.
    np.testing.assert_allclose(centres[-1] - centres[0], (11 / 8, 11 / 16), atol=0.2)


def test_every_look_at_a_reencoded_face_is_another_picture() -> None:
    face = np.random.default_rng(0).integers(0, 256, (1, 48, 48), np.uint8)
    looks = reencode(face)
    assert looks.shape == (1, 10, 48, 48)
    assert len({look.tobytes() for look in looks[0]}) == 10


def test_flips_and_jitter_are_counted_over_looks() -> None:
    # One face wavers at every look, and the other never.
    wavering = np.tile([[0.6, 0.4], [0.4, 0.6]], (5, 1))
    answers = np.stack([wavering, np.tile([0.9, 0.1], (10, 1))])
    assert count_flips(answers).value() == 150
    assert count_flips(answers[1:]).value() == 0
    steady = np.tile([[[0.7, 0.3], [0.55, 0.45], [0.45, 0.55]]], (1, 4, 1))
    assert count_flips(steady).value() > 0
    assert count_flips(average_looks(steady)).value() == 0
    points = np.zeros((1, 10, 15, 2))
    points[0, ::2] = 2
    assert measure_jitter(points).value() == 1
