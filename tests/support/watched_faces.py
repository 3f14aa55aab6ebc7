"""Results of frames, as `watch` analyses them, with the happiness of each face."""

from collections.abc import Iterable, Sequence

import numpy as np

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.frames import Frame
from emotion_ai.client.results import Box, Face

IMAGE = np.zeros((2, 2, 3), np.uint8)


def face(happy: float) -> Face:
    emotion = "happy" if happy >= 0.5 else "sad"
    points = np.arange(15.0)[:, None] * [1, 2.5]
    probabilities = {"happy": happy, "sad": 1 - happy}
    return Face(Box(0, 0, 1, 1), emotion, probabilities, points, 1, 0.0)


def results(happiness: Iterable[Sequence[float | None]]) -> Iterable[FrameResult]:
    """Ten results a second, with the happiness of each face; None where it is not seen."""
    for number, row in enumerate(happiness):
        faces = [TrackedFace(k, face(p)) for k, p in enumerate(row, 1) if p is not None]
        yield FrameResult(Frame(number, number / 10, IMAGE), tuple(faces))
