"""Who is who from one picture to the next: boxes of faces become numbered tracks.

As SORT does (Bewley et al. 2016, "Simple Online and Realtime Tracking",
https://arxiv.org/abs/1602.00763): each track's box is moved on at the speed it had, and boxes go to
the tracks they overlap most, all together. Two things differ, because a face is looked for in every
n-th picture only: the overlap is one that still tells near from far where boxes no longer touch
(Zheng et al. 2020, "Distance-IoU Loss", https://arxiv.org/abs/1911.08287), and a smoothed speed
stands for the Kalman filter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.assignment import assign

# How far a face may be from where it is expected, in its own sides: at once, and a second later.
_REACH, _REACH_PER_S, _FURTHEST = 0.7, 1.0, 1.7
# Between two looks a face does not grow or shrink by more.
_LARGEST_GROWTH = 2.0
# Share of the newest measurement in the speed; longer than so many sides it expects no way.
_SPEED_SHARE, _LONGEST_WAY = 0.5, 1.5
# A track outlives so many looks that missed it, however far apart they are.
_MISSES = 2
# More than any sum of costs, each of which is from 0 to 2.
_IMPOSSIBLE = 1e6


@dataclass
class _Track:
    """A face's number, its last box (left, top, width, height), speed in pixels a second."""

    number: int
    box: NDArray[np.float64]
    speed: NDArray[np.float64]
    seen_s: float
    misses: int = 0

    def expected(self, time_s: float) -> NDArray[np.float64]:
        """Its box at that time, going on as it went."""
        way = self.speed * max(0.0, time_s - self.seen_s)
        longest = _LONGEST_WAY * self.box[2:].mean()
        length = float(np.hypot(*way))
        if length > longest:
            way *= longest / length
        return np.concatenate([self.box[:2] + way, self.box[2:]])

    def see(self, box: NDArray[np.float64], time_s: float) -> None:
        """Take this for its newest box."""
        passed = time_s - self.seen_s
        if passed > 0:
            moved = (box[:2] + box[2:] / 2 - self.box[:2] - self.box[2:] / 2) / passed
            self.speed += _SPEED_SHARE * (moved - self.speed)
        self.box, self.seen_s, self.misses = box, time_s, 0


class Tracker:
    """Numbers faces from 1 on; a face keeps its number until it is away for `keep_s` seconds.

    A face that was away longer, and over more than two looks, gets a new number when it is back.
    Memory is that of the faces now in sight. Not for several threads at once.

    Example:
        tracker = Tracker()
        for image, time_s in frames:
            numbers = tracker.update(detector.find_faces(image), time_s)
    """

    def __init__(self, keep_s: float = 2.0) -> None:
        self.keep_s = keep_s
        self._tracks: list[_Track] = []
        self._last = 0

    def update(self, boxes: Sequence[Sequence[float]], time_s: float) -> list[int]:
        """The track of each box seen at `time_s`, in the boxes' order, no two alike.

        `boxes` begin with left, top, width, height in pixels, as `results.Box` does; none is a look
        that saw nobody. `time_s` is in seconds and does not go back.
        """
        self._forget(time_s)
        seen = np.array([list(box)[:4] for box in boxes], np.float64).reshape(-1, 4)
        numbers = [0] * len(seen)
        unseen = set(range(len(self._tracks)))
        for which, k in self._matches(seen, time_s):
            self._tracks[which].see(seen[k], time_s)
            numbers[k] = self._tracks[which].number
            unseen.discard(which)
        for which in unseen:
            self._tracks[which].misses += 1
        for k, number in enumerate(numbers):
            if not number:
                numbers[k] = self._begin(seen[k], time_s)
        return numbers

    def _forget(self, time_s: float) -> None:
        self._tracks = [
            track
            for track in self._tracks
            if time_s - track.seen_s <= self.keep_s or track.misses < _MISSES
        ]

    def _begin(self, box: NDArray[np.float64], time_s: float) -> int:
        self._last += 1
        self._tracks.append(_Track(self._last, box, np.zeros(2), time_s))
        return self._last

    def _matches(self, seen: NDArray[np.float64], time_s: float) -> list[tuple[int, int]]:
        if not self._tracks or not len(seen):
            return []
        expected = np.array([track.expected(time_s) for track in self._tracks])
        away = np.array([time_s - track.seen_s for track in self._tracks])
        costs = _costs(expected, away, seen)
        return [(which, k) for which, k in assign(costs) if costs[which, k] < _IMPOSSIBLE]


def _costs(
    expected: NDArray[np.float64], away: NDArray[np.float64], seen: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One minus the distance-IoU of tracks [n, 4] and boxes [m, 4]; impossible where too far."""
    a, b = expected[:, None], seen[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(_ends(a), _ends(b))
    common = (high - low).clip(0).prod(-1)
    area_a, area_b = a[..., 2:].prod(-1), b[..., 2:].prod(-1)
    overlap = common / np.maximum(area_a + area_b - common, 1e-9)
    apart = np.hypot(*np.moveaxis(a[..., :2] + a[..., 2:] / 2 - b[..., :2] - b[..., 2:] / 2, -1, 0))
    around = np.maximum(_ends(a), _ends(b)) - np.minimum(a[..., :2], b[..., :2])
    diagonal = np.maximum(np.hypot(*np.moveaxis(around, -1, 0)), 1e-9)
    costs = 1 - overlap + (apart / diagonal) ** 2
    side_a, side_b = a[..., 2:].mean(-1), b[..., 2:].mean(-1)
    larger, smaller = np.maximum(side_a, side_b), np.maximum(np.minimum(side_a, side_b), 1e-9)
    reach = (_REACH + _REACH_PER_S * away.clip(0)).clip(max=_FURTHEST)
    possible = (apart <= reach[:, None] * larger) & (larger <= _LARGEST_GROWTH * smaller)
    return np.where(possible, costs, _IMPOSSIBLE)


def _ends(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes[..., :2] + boxes[..., 2:]
