"""Who showed what, minute by minute: told when the minute is over, so that none is kept."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from emotion_ai.apps.watch.analysis import FrameResult

_MINUTE_S = 60

# Gets a record for each track of a minute that is over, in order of track.
OnSummary = Callable[[list[dict[str, Any]]], None]


class TrackMinute:
    """A track within a minute."""

    def __init__(self, from_s: float) -> None:
        self.from_s = self.to_s = from_s
        self.looks = 0
        self.shown: Counter[str] = Counter()
        self.probabilities: Counter[str] = Counter()

    def record(self, minute: int, track: int) -> dict[str, Any]:
        """What is told of it."""
        means = {name: total / self.looks for name, total in self.probabilities.items()}
        return {
            "minute": minute,
            "track": track,
            "from_s": round(self.from_s, 3),
            "to_s": round(self.to_s, 3),
            "looks": self.looks,
            "emotion": max(means, key=means.__getitem__),
            "shown": {name: round(count / self.looks, 4) for name, count in self.shown.items()},
            "probabilities": {name: round(mean, 4) for name, mean in means.items()},
        }


class MinuteSummaries:
    """Sums up looks and tells each minute's records to `tell`.

    A record has `minute` (from 0), `track`, `from_s` and `to_s` (when it was first and last seen in
    the minute), `looks`, `emotion` (the most probable on the mean), `shown` (the share of looks in
    which each emotion was the most probable), and the mean `probabilities`.
    """

    def __init__(self, tell: OnSummary) -> None:
        self._tell = tell
        self._minute = 0
        self._stays: dict[int, TrackMinute] = {}

    def add(self, look: FrameResult) -> None:
        """Take a look into the sums of its minute."""
        time_s = look.frame.time_s
        if (minute := int(time_s // _MINUTE_S)) != self._minute:
            self.end()
            self._minute = minute
        for track, face in look.sightings or ():
            stay = self._stays.setdefault(track, TrackMinute(time_s))
            stay.to_s = time_s
            stay.looks += 1
            stay.shown[face.emotion] += 1
            stay.probabilities.update(face.probabilities)

    def end(self) -> None:
        """Tell the minute under way."""
        records = [stay.record(self._minute, k) for k, stay in sorted(self._stays.items())]
        self._stays = {}
        if records:
            self._tell(records)


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:30 or 1:02:03."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
