"""How steady the answers are for a face that does not change: re-encoded, and moved slowly."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.faces.keypoints import FRAME
from emotion_ai.steps.evaluate.face_errors import FaceErrors, measure_interval
from emotion_ai.steps.evaluate.metrics import finite_rows
from emotion_ai.steps.evaluate.results import ModelEvaluation, Predict, Steadiness

# As often as `emotion-ai watch` looks at a recorded video.
LOOKS_PER_MINUTE = 300
# The looks of a second, over which answers are averaged.
AVERAGED = 5
QUALITIES = (95, 85, 75, 65, 55, 45, 35, 25, 15, 10)
_MAX_FACES = 30
# A slow video: looks; the face's way between two of them, a quarter of a pixel of 96 to the right
# and an eighth down; and a JPEG quality that stands for the video's.
_LOOKS, _WAY, _VIDEO_QUALITY = 12, np.array([0.25, 0.125]), 60
# Pixels around a face, in which its edge is repeated.
_EDGE = 8


def with_steadiness(model: ModelEvaluation, predict: Predict) -> ModelEvaluation:
    """Add how steady a model is on faces of the test split, and the scores.

    Args:
        model: The model's evaluation.
        predict: Runs the model, from uint8 [n, H, H] to predictions [n, ...].
    """
    positions = np.random.default_rng(0).permutation(model.test.position)[:_MAX_FACES]
    if not len(positions):
        return model
    images = model.faces.take(positions).images
    looks = np.concatenate([reencode(images), move_slowly(images)], axis=1)
    predicted = predict(looks.reshape(-1, *images.shape[1:]))
    if not finite_rows(predicted).all():
        return model
    # A network that has diverged answers with numbers whose squares only float64 has.
    answers = predicted.astype(np.float64).reshape(*looks.shape[:2], *predicted.shape[1:])
    still, moved = np.split(answers, [len(QUALITIES)], axis=1)
    measure = count_flips if model.is_expression else measure_jitter
    if not model.is_expression:
        moved = take_out_way(moved)
    found = (
        _measure("10 JPEG qualities", still, measure),
        _measure("slow video", moved, measure),
    )
    name = "flips_per_minute" if model.is_expression else "jitter_px"
    scores = {
        f"{name}/{each.name.replace(' ', '_')}{suffix}": value
        for each in found
        for suffix, value in (("", each.alone[0]), ("_averaged", each.averaged[0]))
    }
    train, validation, test = model.scores
    return replace(model, steadiness=found, scores=(train, validation, test | scores))


def reencode(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Encode faces [n, H, H] as JPEG in ten qualities, in an order of chance: [n, 10, H, H]."""
    rng = np.random.default_rng(0)
    return np.stack(
        [
            [_encode(Image.fromarray(image), int(each)) for each in rng.permutation(QUALITIES)]
            for image in images
        ]
    )


def move_slowly(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move faces [n, H, H] by parts of a pixel from look to look, as in a video: [n, 12, H, H]."""
    padded = np.pad(images, ((0, 0), (_EDGE, _EDGE), (_EDGE, _EDGE)), mode="edge")
    return np.stack([[_move(image, look) for look in range(_LOOKS)] for image in padded])


def take_out_way(points: NDArray) -> NDArray:
    """Undo the way of `move_slowly` in keypoints [n, 12, 15, 2] of the 96x96 frame."""
    return points - (_WAY * np.arange(_LOOKS)[:, None])[:, None]


def _move(padded: NDArray[np.uint8], look: int) -> NDArray[np.uint8]:
    side = len(padded) - 2 * _EDGE
    x, y = _EDGE - _WAY * look * side / FRAME
    face = Image.fromarray(padded).transform(
        (side, side), Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC
    )
    return _encode(face, _VIDEO_QUALITY)


def _encode(face: Image.Image, quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    face.save(buffer, "jpeg", quality=quality)
    return np.asarray(Image.open(buffer))


def count_flips(probabilities: NDArray) -> FaceErrors:
    """Count how often the label changes from look to look, a minute; of [n, looks, k]."""
    labels = probabilities.argmax(axis=2)
    changes = (labels[:, 1:] != labels[:, :-1]).astype(np.float64)
    pairs = np.full(len(changes), float(changes.shape[1]))
    return FaceErrors(changes.sum(axis=1), pairs, lambda share: LOOKS_PER_MINUTE * share)


def measure_jitter(points: NDArray) -> FaceErrors:
    """Measure how far points [n, looks, 15, 2] are from their means over the looks."""
    squares = (points - points.mean(axis=1, keepdims=True)) ** 2
    counts = np.full(len(squares), float(np.prod(squares.shape[1:])))
    return FaceErrors(squares.sum(axis=(1, 2, 3)), counts, np.sqrt)


def average_looks(answers: NDArray) -> NDArray:
    """Return the running means of answers [n, looks, ...] over a second."""
    return sliding_window_view(answers, AVERAGED, axis=1).mean(axis=-1)


def _measure(name: str, answers: NDArray, measure: Callable[[NDArray], FaceErrors]) -> Steadiness:
    alone, averaged = (
        measure_interval(measure(each)) for each in (answers, average_looks(answers))
    )
    return Steadiness(name, len(answers), alone, averaged)
