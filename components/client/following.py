"""Follow faces through the frames of a video: detected now and then, in between by their keypoints.

A detector takes many times as long as the networks, which find the keypoints of a face whose place
is known roughly. So faces are detected five times a second, where the picture changes at once, and
where one that is followed is lost. In between a face's box goes with its keypoints.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.detectors import Detector, Whole
from emotion_ai.client.results import Box, Face
from emotion_ai.client.tracking import Tracker

# A new face is seen within a fifth of a second.
DETECTIONS_PER_S = 5
# Times are in whole milliseconds in many files, and may be rounded down.
_ROUNDING_S = 0.0015
# A frame is compared with the last one by so many of its pixels a side. It is the first of another
# scene where they differ by this mean of 255, and by so many times as much as the two before.
_GLANCE, _MIN_CUT, _CUT_FACTOR = 48, 8.0, 2.5
# A face that moved by more than this share of its side, or grew so, is predicted again where it is.
_MAX_SHIFT, _MAX_PASSES = 0.05, 3
# A followed face is lost where it correlates less with itself when it was detected; where it grew
# or shrank by more than this factor since; or where it overlaps another one by more than this.
_MIN_LIKENESS, _MAX_GROWTH, _MAX_OVERLAP = 0.6, 1.5, 0.2
# The sum of squares of the keypoints' distances from their middle, in squares of the box's width;
# those of a face have about 2.
_MIN_SPREAD = 0.01
# A face is compared in so many cells a side, each the mean of some pixels.
_CELLS, _PER_CELL = 12, 3

# From pixels, RGB, and boxes to the faces in the boxes.
Predict = Callable[[NDArray[np.uint8], Sequence[Box]], list[Face]]


class _Anchor(NamedTuple):
    """A face as it was detected: its box, its keypoints, and what it looked like."""

    box: Box
    keypoints: NDArray[np.float64]
    look: NDArray[np.float64]


class Follower:
    """Finds and numbers the faces in consecutive frames of a video.

    Each frame is first asked for with `is_due`, in order. A frame that is due has its faces
    detected, by whom and when does not matter; then `follow` takes the frames in the same order.

    Args:
        detector: Detects faces.
        detections_per_s: In how many frames a second they are detected, whatever happens.
    """

    def __init__(self, detector: Detector, detections_per_s: float = DETECTIONS_PER_S) -> None:
        self.detector = detector
        self._is_time = at_rate(detections_per_s)
        self._is_cut = _CutFinder()
        self._anchors: list[_Anchor] = []
        self._boxes: list[Box] = []
        self._tracker = Tracker()

    def is_due(self, image: NDArray[np.uint8], time_s: float) -> bool:
        """Whether the faces in a frame are to be detected.

        Args:
            image: uint8 [H, W, 3].
            time_s: The frame's time in seconds, which never decreases.
        """
        is_cut = self._is_cut(image)
        # A face that is the whole picture goes nowhere.
        return self._is_time(time_s) or is_cut or isinstance(self.detector, Whole)

    def follow(
        self,
        image: NDArray[np.uint8],
        time_s: float,
        predict: Predict,
        detected: Sequence[Box] | None,
    ) -> list[tuple[int, Face]]:
        """Predict the faces in the next frame.

        Args:
            image: uint8 [H, W, 3] RGB.
            time_s: The frame's time in seconds, which never decreases.
            predict: Predicts the faces.
            detected: Where faces were detected; None to follow those of the last frame.

        Returns:
            The faces and the numbers of their tracks, in the order of `detected`.
        """
        faces = self._keep_up(image, predict) if detected is None else None
        if faces is None:
            found = self.detector.find_faces(image) if detected is None else detected
            faces = predict(image, found) if found else []
            self._anchors = [_Anchor(f.box, f.keypoints, _look(image, f.box)) for f in faces]
        self._boxes = [face.box for face in faces]
        return list(zip(self._tracker.update(self._boxes, time_s), faces, strict=True))

    def _keep_up(self, image: NDArray[np.uint8], predict: Predict) -> list[Face] | None:
        """Predict the last frame's faces where they are now; None where one of them is lost."""
        boxes = self._boxes
        faces: list[Face] = []
        for _ in range(_MAX_PASSES if boxes else 0):
            faces = predict(image, boxes)
            pairs = zip(self._anchors, faces, strict=True)
            moved = [_move(anchor, face.keypoints) for anchor, face in pairs]
            if not all(map(_is_visible, moved, [image.shape] * len(moved))):
                return None
            is_near = all(map(_is_near, boxes, moved))
            boxes = moved
            if is_near:
                break
        if any(overlap(a, b) > _MAX_OVERLAP for a, b in combinations(boxes, 2)):
            return None
        if not all(_is_same(a, image, box) for a, box in zip(self._anchors, boxes, strict=True)):
            return None
        return [replace(face, box=box) for face, box in zip(faces, boxes, strict=True)]


def at_rate(rate: float) -> Callable[[float], bool]:
    """Choose the first time in each of `rate` equal parts of a second; times never decrease."""
    due = 0

    def choose(time_s: float) -> bool:
        nonlocal due
        part = math.floor((time_s + _ROUNDING_S) * rate)
        if part < due:
            return False
        due = part + 1
        return True

    return choose


class _CutFinder:
    """Tells the first frame of another scene by a few of its pixels."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] = np.empty((0, 0, 3), np.float32)
        self._difference = math.inf

    def __call__(self, image: NDArray[np.uint8]) -> bool:
        step = max(1, min(image.shape[:2]) // _GLANCE)
        glance = image[step // 2 :: step, step // 2 :: step].astype(np.float32)
        last, self._last = self._last, glance
        if last.shape != glance.shape:
            return True
        before, self._difference = self._difference, float(np.abs(glance - last).mean())
        return self._difference > max(_MIN_CUT, _CUT_FACTOR * before)


def _move(anchor: _Anchor, keypoints: NDArray[np.float64]) -> Box:
    """Move, turn and scale the anchor's box as its keypoints were, by least squares."""
    before, now = (points[:, 0] + 1j * points[:, 1] for points in (anchor.keypoints, keypoints))
    from_middle = before - before.mean()
    spread = float((np.abs(from_middle) ** 2).sum())
    left, top, width, height, score = anchor.box
    # Keypoints that are all in one place say nothing of the size.
    turn = (from_middle.conj() * now).sum() / spread if spread > _MIN_SPREAD * width**2 else 1.0
    middle = now.mean() + turn * (left + width / 2 + 1j * (top + height / 2) - before.mean())
    width, height = float(abs(turn) * width), float(abs(turn) * height)
    return Box(
        float(middle.real - width / 2), float(middle.imag - height / 2), width, height, score
    )


def _is_visible(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether the middle of a box of some size is in the frame."""
    x, y = box.left + box.width / 2, box.top + box.height / 2
    return 0 <= x < shape[1] and 0 <= y < shape[0] and min(box.width, box.height) >= 1


def _is_near(a: Box, b: Box) -> bool:
    shift = math.hypot(a.left - b.left + (a.width - b.width) / 2, a.top - b.top)
    return shift <= _MAX_SHIFT * b.width and abs(a.width - b.width) <= _MAX_SHIFT * b.width


def _is_same(anchor: _Anchor, image: NDArray[np.uint8], box: Box) -> bool:
    growth = box.width / anchor.box.width
    if not 1 / _MAX_GROWTH < growth < _MAX_GROWTH:
        return False
    likeness = float((anchor.look * _look(image, box)).sum())
    return likeness >= _MIN_LIKENESS


def _look(image: NDArray[np.uint8], box: Box) -> NDArray[np.float64]:
    """Sum up a face's pixels, green ones, in a few cells, without mean and with length one."""
    steps = (np.arange(_CELLS * _PER_CELL) + 0.5) / (_CELLS * _PER_CELL)
    columns = (box.left + steps * box.width).astype(int).clip(0, image.shape[1] - 1)
    rows = (box.top + steps * box.height).astype(int).clip(0, image.shape[0] - 1)
    pixels = image[rows[:, None], columns, 1].astype(np.float64)
    cells = pixels.reshape(_CELLS, _PER_CELL, _CELLS, _PER_CELL).mean((1, 3))
    cells -= cells.mean()
    return cells / max(float(np.linalg.norm(cells)), 1e-9)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (a.width * a.height + b.width * b.height - shared) if shared else 0.0
