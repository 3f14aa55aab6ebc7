"""A video, a camera or a stream, watched: timeline, plot, annotated video, minute by minute."""

import contextlib
import importlib.util
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotion_ai.apps.watch.analysis import FrameResult, analyse_frames
from emotion_ai.apps.watch.annotation import open_annotator
from emotion_ai.apps.watch.emotion_bins import open_plot
from emotion_ai.apps.watch.interruption import Interruption
from emotion_ai.apps.watch.minute_summaries import MinuteSummaries, clock
from emotion_ai.apps.watch.outputs import check_output
from emotion_ai.apps.watch.screen import Screen
from emotion_ai.apps.watch.sources import Source, open_source
from emotion_ai.apps.watch.timeline import one_label_set, open_timeline
from emotion_ai.client.channel import DEFAULT_TIMEOUT_S
from emotion_ai.client.client import Client
from emotion_ai.client.records import check_packages
from emotion_ai.errors import InputError, Unavailable

# Without a wish: so many looks at a recorded second; a live source is looked at as fast as it goes.
_LOOKS_PER_S = 5
# Of a recorded video, held while the server answers: a dozen frames in high definition.
_AHEAD_BYTES = 64 * 1024 * 1024
_PLOTS, _TIMELINES, _VIDEOS = (".png", ".svg", ".pdf"), (".csv", ".parquet"), (".mp4", ".webm")

Sink = Callable[[FrameResult], None]
Failure = KeyboardInterrupt | SystemExit | InputError | Unavailable


@dataclass(frozen=True)
class Outputs:
    """Files to write; None for those that are not wanted."""

    timeline: Path | None = None
    plot: Path | None = None
    video: Path | None = None

    def check(self, source: str) -> None:
        """Raise `InputError` where one cannot be, or needs a package that is not installed."""
        named = ((self.timeline, _TIMELINES), (self.plot, _PLOTS), (self.video, _VIDEOS))
        for path, suffixes in named:
            if path:
                check_output(path, suffixes)
                if path.exists() and os.path.exists(source) and path.samefile(source):
                    raise InputError(f"{path}: this is what is watched; name another file")
        if self.timeline and self.timeline.suffix.lower() == ".parquet":
            check_packages("parquet")
        if self.plot and importlib.util.find_spec("matplotlib") is None:
            raise InputError("a plot needs package matplotlib: pip install 'emotion-ai[video]'")

    def __str__(self) -> str:
        return ", ".join(str(path) for path in (self.timeline, self.plot, self.video) if path)


NOTHING = Outputs()


@dataclass
class _Tally:
    """How far it went."""

    time_s: float = 0.0
    frames: int = 0
    looks: int = 0
    tracks: int = 0

    def add(self, look: FrameResult) -> None:
        """Count a look."""
        self.time_s, self.frames = look.frame.time_s, look.frame.number + 1
        if look.sightings is not None:
            self.looks += 1
            self.tracks = max([self.tracks, *(track for track, _ in look.sightings)])


def watch(
    source: str,
    client: Client,
    outputs: Outputs = NOTHING,
    every: int | None = None,
    duration: float | None = None,
    timeout: float = DEFAULT_TIMEOUT_S,
) -> None:
    """Watch a source (see `sources.open_source`), tell each minute, and write the outputs.

    Looks at each `every`-th frame; without it at five frames a second of a recorded video, and of a
    live source at the newest frame whenever the last is answered. Ends after `duration` seconds of
    the source's time; `timeout` is what an answer may take.

    The outputs appear at the end, whole. When the source or the server fails, or at Ctrl-C, they
    hold what was seen until then, and the failure is raised: `InputError` for what is no video or
    is cut short, `Unavailable` for the rest, `KeyboardInterrupt`, or `SystemExit` at SIGTERM.
    """
    outputs.check(source)
    tally = _Tally()
    with open_source(source) as opened, contextlib.ExitStack() as stack:
        screen = Screen(opened, duration)
        minutes = MinuteSummaries(screen.tell)
        files = _open_files(outputs, opened, stack)
        sinks: list[Sink] = [*files, minutes.add, screen.add, tally.add]
        looks = _looks(opened, client, every, duration, timeout, outputs)
        with screen.shown():
            failure = _take(looks, sinks)
            opened.close()
            minutes.end()
        if failure and not tally.looks:
            raise failure
    _close(opened, tally, outputs, failure)


def _looks(
    source: Source,
    client: Client,
    every: int | None,
    duration: float | None,
    timeout: float,
    outputs: Outputs,
) -> Iterator[FrameResult]:
    pace = every or (1 if source.live else max(1, round(source.fps / _LOOKS_PER_S)))
    # A video is drawn on whole, with the frames between the looks.
    step, pace = (1, pace) if outputs.video and not source.live else (pace, 1)
    limit = math.inf if duration is None else duration
    frames = itertools.takewhile(lambda frame: frame.time_s < limit, source.frames(step))
    looks = analyse_frames(frames, client, pace, timeout, 0 if source.live else _AHEAD_BYTES)
    return one_label_set(looks) if outputs.timeline else looks


def _open_files(outputs: Outputs, source: Source, stack: contextlib.ExitStack) -> Iterator[Sink]:
    if outputs.timeline:
        yield stack.enter_context(open_timeline(outputs.timeline)).add
    if outputs.plot:
        yield stack.enter_context(open_plot(outputs.plot, Path(source.name).name)).add
    if outputs.video:
        yield stack.enter_context(open_annotator(outputs.video, source.fps)).add


def _take(looks: Iterator[FrameResult], sinks: Sequence[Sink]) -> Failure | None:
    """Give every look to every sink, until there is none, or something fails; then that."""
    with Interruption() as interruption:
        while True:
            try:
                with interruption.waiting():
                    look = next(looks, None)
            except (KeyboardInterrupt, SystemExit, InputError, Unavailable) as failure:
                return failure
            if look is None:
                return None
            for sink in sinks:
                sink(look)


def _close(source: Source, tally: _Tally, outputs: Outputs, failure: Failure | None) -> None:
    if isinstance(failure, InputError | Unavailable):
        kept = f"; what was seen until {clock(tally.time_s)}: {outputs}" if f"{outputs}" else ""
        raise type(failure)(f"{failure}{kept}")
    facts = [
        f"{clock(tally.time_s)} watched",
        f"{tally.looks:,} of {tally.frames:,} frames looked at",
        f"{tally.tracks} faces followed",
    ]
    if source.live:
        facts.append(f"{source.dropped:,} frames dropped for newer ones")
    if f"{outputs}":
        facts.append(f"written: {outputs}")
    sys.stderr.write(f"{source.name}: {'; '.join(facts)}\n")
    if failure:
        raise failure
