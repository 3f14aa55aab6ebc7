"""Find episodes: when a face begins to show an emotion, shows it most, and ends; and gaps."""

from collections.abc import Callable
from typing import NamedTuple

from emotion_ai.apps.watch.analysis import FrameResult

# An episode begins where the emotion's probability reaches the first, and ends where it falls below
# the second or another emotion reaches the first. Between the two it wavers without an end.
ONSET_PROBABILITY, OFFSET_PROBABILITY = 0.5, 0.35
# A shorter episode, or gap, is taken for noise.
MIN_DURATION_S = 0.3
# A face that is missing for longer, and in two analysed frames, ends its episode where it was seen
# last.
_MAX_MISSING_S, _MAX_MISSES = 1.0, 1

EMOTION, NO_FACE = "emotion", "no face"


class Event(NamedTuple):
    """An episode of an emotion in a face, or a gap in which no face was seen.

    Attributes:
        kind: `EMOTION` or `NO_FACE`.
        track: The face's number; None for a gap, as in all below but the times and the looks.
        emotion: The emotion.
        onset_s: When it began: the first look.
        apex_s: When its probability was highest.
        offset_s: When it was over: the first look without it, or the last one of the face.
        looks: In how many analysed frames it was seen; of a gap, how many had no face.
        peak: Its highest probability.
        mean: Its mean probability.
    """

    kind: str
    track: int | None
    emotion: str | None
    onset_s: float
    apex_s: float | None
    offset_s: float
    looks: int
    peak: float | None
    mean: float | None


class _Episode:
    """An episode that is not over."""

    def __init__(self, emotion: str, onset_s: float) -> None:
        self.emotion = emotion
        self.onset_s = self.apex_s = onset_s
        self.peak = self.total = 0.0
        self.looks = 0

    def add(self, probability: float, time_s: float) -> None:
        """Count a look."""
        self.looks += 1
        self.total += probability
        if probability > self.peak:
            self.peak, self.apex_s = probability, time_s

    def end(self, track: int, offset_s: float) -> Event:
        """Describe the whole."""
        return Event(
            EMOTION,
            track,
            self.emotion,
            self.onset_s,
            self.apex_s,
            offset_s,
            self.looks,
            self.peak,
            self.total / self.looks,
        )


class _Track:
    """A face that was seen a moment ago."""

    def __init__(self) -> None:
        self.episode: _Episode | None = None
        self.seen_s = 0.0
        self.misses = 0


class EpisodeFinder:
    """Finds events while a video is read; memory grows with the faces that are seen at once.

    Args:
        on_event: Receives each event when it is over.
    """

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._tracks: dict[int, _Track] = {}
        self._gap_from_s: float | None = None
        self._gap_looks = 0
        self._time_s = 0.0

    def add(self, result: FrameResult) -> None:
        """Add a frame."""
        if result.faces is None:
            return
        self._time_s = time_s = result.frame.time_s
        self._update_gap(bool(result.faces))
        for number, face in result.faces:
            track = self._tracks.setdefault(number, _Track())
            self._update(number, track, face.probabilities)
            track.seen_s, track.misses = time_s, 0
        present = {number for number, _ in result.faces}
        for number in self._tracks.keys() - present:
            track = self._tracks[number]
            track.misses += 1
            if track.misses > _MAX_MISSES and time_s - track.seen_s > _MAX_MISSING_S:
                self._end_episode(number, track, track.seen_s)
                del self._tracks[number]

    def end(self) -> None:
        """End what is going on."""
        self._update_gap(has_face=True)
        for number, track in sorted(self._tracks.items()):
            self._end_episode(number, track, track.seen_s)
        self._tracks = {}

    def _update(self, number: int, track: _Track, probabilities: dict[str, float]) -> None:
        emotion, highest = max(probabilities.items(), key=lambda item: item[1])
        begins = highest >= ONSET_PROBABILITY
        if track.episode:
            probability = probabilities.get(track.episode.emotion, 0.0)
            replaced = begins and emotion != track.episode.emotion
            if replaced or probability < OFFSET_PROBABILITY:
                self._end_episode(number, track, self._time_s)
            else:
                track.episode.add(probability, self._time_s)
        if begins and track.episode is None:
            track.episode = _Episode(emotion, self._time_s)
            track.episode.add(highest, self._time_s)

    def _end_episode(self, number: int, track: _Track, offset_s: float) -> None:
        if track.episode:
            self._pass_on(track.episode.end(number, offset_s))
        track.episode = None

    def _update_gap(self, has_face: bool) -> None:
        if not has_face:
            if self._gap_from_s is None:
                self._gap_from_s, self._gap_looks = self._time_s, 0
            self._gap_looks += 1
        elif self._gap_from_s is not None:
            whole = (self._gap_from_s, None, self._time_s, self._gap_looks)
            self._pass_on(Event(NO_FACE, None, None, *whole, None, None))
            self._gap_from_s = None

    def _pass_on(self, event: Event) -> None:
        # Times have a millisecond, and their difference a rounding error.
        if event.offset_s - event.onset_s >= MIN_DURATION_S - 1e-6:
            self._on_event(event)
