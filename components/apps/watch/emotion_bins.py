"""Emotions over time in memory that does not grow: sums in so many bins, of so many tracks.

Bins are a quarter of a second wide at first; when a video outlasts them, pairs become one. Of the
tracks those seen most are kept, and how many others there were.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.frames import Frame
from emotion_ai.apps.watch.outputs import appearing

BINS = 480
_FIRST_WIDTH_S = 0.25
_TRACKS = 64
# More than any label set has; two can meet where a rollout happens meanwhile.
_LABELS = 16
_PORTRAIT = 72


class TrackBins(NamedTuple):
    """A track's sums of probabilities [BINS, 16] and of looks [BINS]; its face [72, 72, 3] RGB."""

    track: int
    sums: NDArray[np.float32]
    looks: NDArray[np.float32]
    portrait: NDArray[np.uint8]


class EmotionBins:
    """Sums up looks; `width_s` is that of a bin now, `labels` those met so far, in order."""

    def __init__(self) -> None:
        self.width_s = _FIRST_WIDTH_S
        self.labels: list[str] = []
        self.end_s = 0.0
        self._looks = 0
        self.others = 0
        self._bands: dict[int, TrackBins] = {}
        self._clarity: dict[int, float] = {}

    def add(self, look: FrameResult) -> None:
        """Take a look into the sums."""
        self.end_s = look.frame.time_s
        self._looks += look.sightings is not None
        while look.frame.time_s >= BINS * self.width_s:
            self._widen()
        place = int(look.frame.time_s / self.width_s)
        for sighting in look.sightings or ():
            band = self._band(sighting.track)
            band.looks[place] += 1
            for label, probability in sighting.face.probabilities.items():
                if (column := self._column(label)) < _LABELS:
                    band.sums[place, column] += probability
            self._portray(band, look.frame, sighting)

    def most_seen(self, count: int) -> list[TrackBins]:
        """The `count` tracks that were looked at most, in order of their numbers."""
        ranked = sorted(self._bands.values(), key=lambda band: -band.looks.sum())
        return sorted(ranked[:count], key=lambda band: band.track)

    @property
    def look_interval_s(self) -> float:
        """Seconds from one look to the next, on the mean."""
        return self.end_s / max(1, self._looks - 1)

    def tracks(self) -> int:
        """How many tracks there were, those not kept too."""
        return len(self._bands) + self.others

    def _band(self, track: int) -> TrackBins:
        if track not in self._bands:
            if len(self._bands) == _TRACKS:
                least = min(self._bands.values(), key=lambda band: float(band.looks.sum()))
                del self._bands[least.track], self._clarity[least.track]
                self.others += 1
            sums = np.zeros((BINS, _LABELS), np.float32)
            blank = np.zeros((_PORTRAIT, _PORTRAIT, 3), np.uint8)
            self._bands[track] = TrackBins(track, sums, np.zeros(BINS, np.float32), blank)
            self._clarity[track] = 0.0
        return self._bands[track]

    def _column(self, label: str) -> int:
        if label not in self.labels and len(self.labels) < _LABELS:
            self.labels.append(label)
        return self.labels.index(label) if label in self.labels else _LABELS

    def _widen(self) -> None:
        self.width_s *= 2
        for band in self._bands.values():
            for sums in (band.sums, band.looks):
                half = sums[0::2] + sums[1::2]
                sums[: BINS // 2], sums[BINS // 2 :] = half, 0

    def _portray(self, band: TrackBins, frame: Frame, sighting: TrackedFace) -> None:
        """Keep the largest view of a face, a quarter larger at a time."""
        box = sighting.face.box
        clarity = box.score * min(box.width, box.height)
        if clarity <= 1.25 * self._clarity[band.track]:
            return
        self._clarity[band.track] = clarity
        side = 1.2 * max(box.width, box.height)
        left, top = box.left + (box.width - side) / 2, box.top + (box.height - side) / 2
        corners = [round(edge) for edge in (left, top, left + side, top + side)]
        height, width = frame.image.shape[:2]
        x = np.arange(corners[0], max(corners[2], corners[0] + 1)).clip(0, width - 1)
        y = np.arange(corners[1], max(corners[3], corners[1] + 1)).clip(0, height - 1)
        view = Image.fromarray(np.ascontiguousarray(frame.image[y[:, None], x, ::-1]))
        band.portrait[:] = np.asarray(view.resize((_PORTRAIT, _PORTRAIT), Image.Resampling.BOX))


@contextlib.contextmanager
def open_plot(path: Path, title: str) -> Iterator[EmotionBins]:
    """Sums of which a plot is at `path` when the block has ended well."""
    with appearing(path) as partial:
        bands = EmotionBins()
        yield bands
        from emotion_ai.apps.watch.plot import save_plot

        save_plot(bands, title, partial)


def spans(seen: NDArray[np.bool_], gap: int) -> Iterator[slice]:
    """Runs of bins that are True, joined over gaps of at most `gap` bins."""
    places = np.flatnonzero(seen)
    if not len(places):
        return
    breaks = np.flatnonzero(np.diff(places) > gap + 1)
    firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(places) - 1)
    for first, last in zip(places[firsts], places[lasts], strict=True):
        yield slice(int(first), int(last) + 1)
