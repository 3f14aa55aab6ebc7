"""Summarise each minute by track, when it is over, so that memory does not grow."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from emotion_ai.apps.watch.analysis import FrameResult

_MINUTE_S = 60

# Receives a record for each track of a minute that is over, in order of track.
OnSummary = Callable[[list[dict[str, Any]]], None]


class TrackMinute:
    """The counts and sums of a track within a minute."""

    def __init__(self, from_s: float) -> None:
        self.from_s = self.to_s = from_s
        self.frames = 0
        self.most_probable: Counter[str] = Counter()
        self.probabilities: Counter[str] = Counter()

    def as_record(self, minute: int, track: int) -> dict[str, Any]:
        """Convert to a record; see `MinuteSummaries`."""
        means = {name: total / self.frames for name, total in self.probabilities.items()}
        shares = {name: count / self.frames for name, count in self.most_probable.items()}
        return {
            "minute": minute,
            "track": track,
            "from_s": round(self.from_s, 3),
            "to_s": round(self.to_s, 3),
            "looks": self.frames,
            "emotion": max(means, key=means.__getitem__),
            "shown": {name: round(share, 4) for name, share in shares.items()},
            "probabilities": {name: round(mean, 4) for name, mean in means.items()},
        }


class MinuteSummaries:
    """Collects results, and passes each minute's records to a callback.

    A record has `minute` (from 0), `track`, `from_s` and `to_s` (when it was first and last seen in
    the minute), `looks` (how many frames it was seen in), `emotion` (the most probable on average),
    `shown` (the share of frames in which each emotion was the most probable), and the mean
    `probabilities`.

    Args:
        on_summary: Receives the records of a minute.
    """

    def __init__(self, on_summary: OnSummary) -> None:
        self._on_summary = on_summary
        self._minute = 0
        self._tracks: dict[int, TrackMinute] = {}

    def add(self, result: FrameResult) -> None:
        """Add a frame to its minute."""
        time_s = result.frame.time_s
        if (minute := int(time_s // _MINUTE_S)) != self._minute:
            self.end()
            self._minute = minute
        for track, face in result.faces or ():
            summary = self._tracks.setdefault(track, TrackMinute(time_s))
            summary.to_s = time_s
            summary.frames += 1
            summary.most_probable[face.emotion] += 1
            summary.probabilities.update(face.probabilities)

    def end(self) -> None:
        """Pass on the records of the current minute."""
        tracks = sorted(self._tracks.items())
        records = [summary.as_record(self._minute, track) for track, summary in tracks]
        self._tracks = {}
        if records:
            self._on_summary(records)


def clock(seconds: float) -> str:
    """Format seconds as 0:07, 12:30 or 1:02:03."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
