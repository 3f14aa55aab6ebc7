"""Sum up emotions over time in constant memory: fixed numbers of time bins and of tracks.

Bins are a quarter of a second wide at first; when a video outlasts them, pairs are merged. Of the
tracks the ones seen most are kept, and the others are counted.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.frames import Frame

BINS = 480
_INITIAL_WIDTH_S = 0.25
_MAX_TRACKS = 64
# More than any label set has; a rollout meanwhile can bring in a second one.
_MAX_LABELS = 16
_PORTRAIT_SIDE = 72
# A portrait is replaced by one this much larger.
_PORTRAIT_GROWTH = 1.25


class TrackBins(NamedTuple):
    """A track's sums in each bin.

    Attributes:
        track: The track's number.
        sums: Sums of probabilities, float32 [BINS, 16].
        counts: How many frames were summed, float32 [BINS].
        portrait: The face, uint8 [72, 72, 3] RGB.
    """

    track: int
    sums: NDArray[np.float32]
    counts: NDArray[np.float32]
    portrait: NDArray[np.uint8]


class EmotionBins:
    """Sums of the probabilities of each track in bins of time.

    Attributes:
        width_s: The current width of a bin in seconds.
        labels: The labels so far, in the order in which they were met.
        end_s: The time of the last frame.
        dropped_tracks: How many tracks were not kept.
    """

    def __init__(self) -> None:
        self.width_s = _INITIAL_WIDTH_S
        self.labels: list[str] = []
        self.end_s = 0.0
        self.dropped_tracks = 0
        self._analysed = 0
        self._tracks: dict[int, TrackBins] = {}
        self._portrait_quality: dict[int, float] = {}

    def add(self, result: FrameResult) -> None:
        """Add a frame's faces to the sums."""
        self.end_s = result.frame.time_s
        self._analysed += result.faces is not None
        while result.frame.time_s >= BINS * self.width_s:
            self._merge_pairs()
        index = int(result.frame.time_s / self.width_s)
        for tracked in result.faces or ():
            bins = self._bins(tracked.track)
            bins.counts[index] += 1
            for label, probability in tracked.face.probabilities.items():
                if (column := self._column(label)) < _MAX_LABELS:
                    bins.sums[index, column] += probability
            self._update_portrait(bins, result.frame, tracked)

    def most_seen(self, count: int) -> list[TrackBins]:
        """Return the `count` tracks that were seen most, in order of their numbers."""
        ranked = sorted(self._tracks.values(), key=lambda bins: -bins.counts.sum())
        return sorted(ranked[:count], key=lambda bins: bins.track)

    @property
    def analysis_interval_s(self) -> float:
        """Mean seconds from one analysed frame to the next."""
        return self.end_s / max(1, self._analysed - 1)

    def count_tracks(self) -> int:
        """Count the tracks, including those that were not kept."""
        return len(self._tracks) + self.dropped_tracks

    def _bins(self, track: int) -> TrackBins:
        if track not in self._tracks:
            if len(self._tracks) == _MAX_TRACKS:
                least = min(self._tracks.values(), key=lambda bins: float(bins.counts.sum()))
                del self._tracks[least.track], self._portrait_quality[least.track]
                self.dropped_tracks += 1
            sums = np.zeros((BINS, _MAX_LABELS), np.float32)
            blank = np.zeros((_PORTRAIT_SIDE, _PORTRAIT_SIDE, 3), np.uint8)
            self._tracks[track] = TrackBins(track, sums, np.zeros(BINS, np.float32), blank)
            self._portrait_quality[track] = 0.0
        return self._tracks[track]

    def _column(self, label: str) -> int:
        if label not in self.labels and len(self.labels) < _MAX_LABELS:
            self.labels.append(label)
        return self.labels.index(label) if label in self.labels else _MAX_LABELS

    def _merge_pairs(self) -> None:
        self.width_s *= 2
        for bins in self._tracks.values():
            for array in (bins.sums, bins.counts):
                merged = array[0::2] + array[1::2]
                array[: BINS // 2], array[BINS // 2 :] = merged, 0

    def _update_portrait(self, bins: TrackBins, frame: Frame, tracked: TrackedFace) -> None:
        """Keep the largest view of a face."""
        box = tracked.face.box
        quality = box.score * min(box.width, box.height)
        if quality <= _PORTRAIT_GROWTH * self._portrait_quality[bins.track]:
            return
        self._portrait_quality[bins.track] = quality
        side = 1.2 * max(box.width, box.height)
        left, top = box.left + (box.width - side) / 2, box.top + (box.height - side) / 2
        corners = [round(edge) for edge in (left, top, left + side, top + side)]
        height, width = frame.image.shape[:2]
        x = np.arange(corners[0], max(corners[2], corners[0] + 1)).clip(0, width - 1)
        y = np.arange(corners[1], max(corners[3], corners[1] + 1)).clip(0, height - 1)
        view = Image.fromarray(np.ascontiguousarray(frame.image[y[:, None], x, ::-1]))
        size = (_PORTRAIT_SIDE, _PORTRAIT_SIDE)
        bins.portrait[:] = np.asarray(view.resize(size, Image.Resampling.BOX))


def spans(seen: NDArray[np.bool_], max_gap: int) -> Iterator[slice]:
    """Find runs of bins that are True, joined over gaps of at most `max_gap` bins."""
    indices = np.flatnonzero(seen)
    if not len(indices):
        return
    breaks = np.flatnonzero(np.diff(indices) > max_gap + 1)
    firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(indices) - 1)
    for first, last in zip(indices[firsts], indices[lasts], strict=True):
        yield slice(int(first), int(last) + 1)
