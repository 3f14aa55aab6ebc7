"""Track faces from one picture to the next: boxes get the numbers of tracks.

As SORT does (Bewley et al. 2016, "Simple Online and Realtime Tracking",
https://arxiv.org/abs/1602.00763): each track's box is moved on at its speed, and boxes are assigned
to the tracks they overlap most, all together. Two things differ, because faces are detected in
every n-th picture only: the overlap also ranks boxes that no longer touch by their distance (Zheng
et al. 2020, "Distance-IoU Loss", https://arxiv.org/abs/1911.08287), and a smoothed speed replaces
the Kalman filter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.assignment import assign

# How far a face may be from its predicted box, in sides of the face: at first, the increase for
# each second since it was last seen, and the maximum.
_REACH, _REACH_PER_S, _MAX_REACH = 0.7, 1.0, 1.7
# The largest factor by which a face grows or shrinks from one update to the next.
_MAX_GROWTH = 2.0
# Share of the newest measurement in the smoothed speed.
_SPEED_SHARE = 0.5
# How far a box is moved along at most, in its sides.
_MAX_SHIFT = 1.5
# A track survives this many updates without its face, however far apart they are.
_MAX_MISSES = 2
# More than any sum of costs, each of which is from 0 to 2.
_IMPOSSIBLE = 1e6


@dataclass
class _Track:
    """A face's number, its last box (left, top, width, height) and its speed in pixels a second."""

    number: int
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    seen_s: float
    misses: int = 0

    def predict_box(self, time_s: float) -> NDArray[np.float64]:
        """Move the last box on at the track's speed."""
        shift = self.speed * max(0.0, time_s - self.seen_s)
        max_length = _MAX_SHIFT * self.box[2:].mean()
        length = float(np.hypot(*shift))
        if length > max_length:
            shift *= max_length / length
        return np.concatenate([self.box[:2] + shift, self.box[2:]])

    def update(self, box: NDArray[np.float64], time_s: float) -> None:
        """Take this as the newest box."""
        passed = time_s - self.seen_s
        if passed > 0:
            speed = (_centres(box) - _centres(self.box)) / passed
            self.speed += _SPEED_SHARE * (speed - self.speed)
        self.box, self.seen_s, self.misses = box, time_s, 0


class Tracker:
    """Numbers faces from 1; a face keeps its number until it is away for too long.

    A face that was missing for longer than `keep_s`, and in at least two updates, gets a new
    number. Memory does not grow with time. Not thread-safe.

    Args:
        keep_s: Seconds that a track survives without its face.

    Example:
        tracker = Tracker()
        assert tracker.update([Box(10, 10, 50, 50), Box(200, 10, 50, 50)], time_s=0.0) == [1, 2]
        assert tracker.update([Box(204, 10, 50, 50), Box(14, 10, 50, 50)], time_s=0.2) == [2, 1]
    """

    def __init__(self, keep_s: float = 2.0) -> None:
        self.keep_s = keep_s
        self._tracks: list[_Track] = []
        self._last_number = 0

    def update(self, boxes: Sequence[Sequence[float]], time_s: float) -> list[int]:
        """Assign the boxes detected in a picture to tracks.

        Args:
            boxes: Each begins with left, top, width and height in pixels, as `Box` does; empty
                where no face was detected.
            time_s: The picture's time in seconds, which never decreases.

        Returns:
            The number of each box's track, in the boxes' order, no two alike.

        Example:
            numbers = Tracker().update([Box(10, 10, 50, 50)], time_s=0.0)
            assert numbers == [1]
        """
        self._drop_lost_tracks(time_s)
        detected = np.array([list(box)[:4] for box in boxes], np.float64).reshape(-1, 4)
        numbers = [0] * len(detected)
        missed = set(range(len(self._tracks)))
        for index, k in self._match(detected, time_s):
            self._tracks[index].update(detected[k], time_s)
            numbers[k] = self._tracks[index].number
            missed.discard(index)
        for index in missed:
            self._tracks[index].misses += 1
        for k, number in enumerate(numbers):
            if not number:
                numbers[k] = self._begin_track(detected[k], time_s)
        return numbers

    def _drop_lost_tracks(self, time_s: float) -> None:
        self._tracks = [
            track
            for track in self._tracks
            if time_s - track.seen_s <= self.keep_s or track.misses < _MAX_MISSES
        ]

    def _begin_track(self, box: NDArray[np.float64], time_s: float) -> int:
        self._last_number += 1
        self._tracks.append(_Track(self._last_number, box, np.zeros(2), time_s))
        return self._last_number

    def _match(self, detected: NDArray[np.float64], time_s: float) -> list[tuple[int, int]]:
        """Return pairs of a track's index and a box's."""
        if not self._tracks or not len(detected):
            return []
        predicted = np.array([track.predict_box(time_s) for track in self._tracks])
        unseen_s = np.array([time_s - track.seen_s for track in self._tracks])
        costs = _costs(predicted, unseen_s, detected)
        return [(index, k) for index, k in assign(costs) if costs[index, k] < _IMPOSSIBLE]


def _costs(
    predicted: NDArray[np.float64], unseen_s: NDArray[np.float64], detected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One minus the distance-IoU of tracks [n, 4] and boxes [m, 4]; impossible where too far."""
    a, b = predicted[:, None], detected[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(_ends(a), _ends(b))
    intersection = (high - low).clip(0).prod(-1)
    area_a, area_b = a[..., 2:].prod(-1), b[..., 2:].prod(-1)
    iou = intersection / np.maximum(area_a + area_b - intersection, 1e-9)
    distance = np.hypot(*np.moveaxis(_centres(a) - _centres(b), -1, 0))
    enclosing = np.maximum(_ends(a), _ends(b)) - np.minimum(a[..., :2], b[..., :2])
    diagonal = np.maximum(np.hypot(*np.moveaxis(enclosing, -1, 0)), 1e-9)
    costs = 1 - iou + (distance / diagonal) ** 2
    side_a, side_b = a[..., 2:].mean(-1), b[..., 2:].mean(-1)
    larger, smaller = np.maximum(side_a, side_b), np.maximum(np.minimum(side_a, side_b), 1e-9)
    reach = (_REACH + _REACH_PER_S * unseen_s.clip(0)).clip(max=_MAX_REACH)
    possible = (distance <= reach[:, None] * larger) & (larger <= _MAX_GROWTH * smaller)
    return np.where(possible, costs, _IMPOSSIBLE)


def _ends(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes[..., :2] + boxes[..., 2:]


def _centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes[..., :2] + boxes[..., 2:] / 2
