"""Watch a video, a camera or a stream: timeline, plot, annotated video, and minute by minute."""

import contextlib
import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotion_ai.apps.watch.analysis import FrameResult, analyse_frames
from emotion_ai.apps.watch.annotation import open_annotator
from emotion_ai.apps.watch.event_files import WRITERS
from emotion_ai.apps.watch.frames import every_nth, per_second
from emotion_ai.apps.watch.hiding import open_hider
from emotion_ai.apps.watch.interruption import Interruption
from emotion_ai.apps.watch.minute_summaries import MinuteSummaries, clock
from emotion_ai.apps.watch.outputs import check_output
from emotion_ai.apps.watch.people import Baseline
from emotion_ai.apps.watch.relative_timeline import open_relative_timeline
from emotion_ai.apps.watch.screen import Screen
from emotion_ai.apps.watch.sources import Source, open_source
from emotion_ai.apps.watch.study import Study, open_study
from emotion_ai.apps.watch.timeline import open_timeline, require_one_label_set
from emotion_ai.client.drawing import draw_boxes, draw_overlay
from emotion_ai.client.following import DETECTIONS_PER_S
from emotion_ai.client.predictor import Predictor
from emotion_ai.client.records import check_packages
from emotion_ai.errors import EmotionAIError, InputError, install_hint
from emotion_ai.terminal import clean_line

# More detections a second than a video has frames: none of its faces is to be seen.
_ALWAYS = 1000.0
# Of a recorded video, read ahead while the server works: a dozen frames in high definition.
_MAX_BYTES_AHEAD = 64 * 1024 * 1024
_PLOTS, _TABLES, _VIDEOS = (".png", ".svg", ".pdf"), (".csv", ".parquet"), (".mp4", ".webm")

OnResult = Callable[[FrameResult], None]
Failure = KeyboardInterrupt | SystemExit | EmotionAIError


@dataclass(frozen=True)
class Outputs:
    """Files to write; None for those that are not wanted.

    Attributes:
        timeline: .csv or .parquet.
        plot: .png, .svg or .pdf.
        video: .mp4 or .webm.
        study: Events and people.
        baseline: From when the baselines are taken that the timeline compares with; None for none.
        blur: Whether faces are hidden in plot and video.
        about: The purpose by `PURPOSE`, if one is declared; it is written into the files, too.
    """

    timeline: Path | None = None
    plot: Path | None = None
    video: Path | None = None
    study: Study = field(default_factory=Study)
    baseline: Baseline | None = None
    blur: bool = False
    about: Mapping[str, str] = field(default_factory=dict)

    def check(self, source: str) -> None:
        """Raise `InputError` for an invalid name, and for a package that is not installed."""
        named = (
            (self.timeline, _TABLES),
            (self.plot, _PLOTS),
            (self.video, _VIDEOS),
            (self.study.people, _TABLES),
            *((path, tuple(WRITERS)) for path in self.study.events),
        )
        for path, suffixes in named:
            if path:
                check_output(path, suffixes)
                if path.exists() and Path(source).exists() and path.samefile(source):
                    raise InputError(f"{path}: this is the source; name another file")
        if self.blur and not (self.plot or self.video):
            raise InputError("--blur: is for --annotate and --plot; name a file with one of them")
        paths = self.paths()
        if twice := [path for path in paths if paths.count(path) > 1]:
            raise InputError(f"{twice[0]}: two outputs have this name; name another file for one")
        if any(path.suffix.lower() == ".parquet" for path in paths):
            check_packages("parquet")
        if self.plot and importlib.util.find_spec("matplotlib") is None:
            raise InputError(f"a plot needs package matplotlib: {install_hint('video')}")

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths()))

    def paths(self) -> list[Path]:
        """Return the files."""
        named = (self.timeline, self.plot, self.video, *self.study.paths())
        return [path for path in named if path]


NO_OUTPUTS = Outputs()


@dataclass
class _Totals:
    """What has been watched so far."""

    time_s: float = 0.0
    frames: int = 0
    analysed: int = 0
    tracks: int = 0

    def add(self, result: FrameResult) -> None:
        """Count a frame."""
        self.time_s, self.frames = result.frame.time_s, result.frame.number + 1
        if result.faces is not None:
            self.analysed += 1
            self.tracks = max([self.tracks, *(track for track, _ in result.faces)])


def watch(
    source: str,
    predictor: Predictor,
    outputs: Outputs = NO_OUTPUTS,
    every: int | None = None,
    duration: float | None = None,
) -> None:
    """Watch a source, print a summary of each minute, and write the outputs.

    The outputs appear at the end, complete. When the source or the server fails, or at Ctrl-C, they
    hold the results until then, and the failure is raised.

    Args:
        source: A file, a camera or an address; see `sources.open_source`.
        predictor: Detects and predicts the faces.
        outputs: The files to write.
        every: Analyse every `every`-th frame. None for five frames a second of a recorded video
            (each, where the faces in an annotated one are hidden), and for the newest frame of a
            live source whenever the last one is answered.
        duration: Seconds of the source's time to watch; None for all of it.

    Raises:
        InputError: The source is not a video or is cut short, or an argument is invalid.
        Unavailable: The server, a live source or the file system failed.
        KeyboardInterrupt: At Ctrl-C.
        SystemExit: At SIGTERM, with 143; when the terminal is closed, with 129.
    """
    outputs.check(source)
    totals = _Totals()
    with open_source(source) as opened, contextlib.ExitStack() as stack:
        screen = Screen(opened, duration, outputs.about)
        screen.print_notice()
        minutes = MinuteSummaries(screen.print_minute)
        files = _open_files(outputs, opened, stack)
        callbacks: list[OnResult] = [*files, minutes.add, screen.add, totals.add]
        results = _results(opened, predictor, every, duration, outputs)
        with screen.progress():
            failure = _consume(results, callbacks)
            opened.close()
            minutes.end()
        if failure and not totals.analysed:
            raise failure
    _report(opened, totals, outputs, failure)


def _results(
    source: Source,
    predictor: Predictor,
    every: int | None,
    duration: float | None,
    outputs: Outputs,
) -> Iterator[FrameResult]:
    if outputs.blur and outputs.video and not source.live:
        if every and every > 1:
            raise InputError(f"--every {every}: --blur hides faces in each frame; leave one out")
        every = 1
    by_number = every_nth(every or 1)
    chosen = by_number if every or source.live else per_second(DETECTIONS_PER_S)
    # An annotated video has all frames, also those that are not analysed.
    to_read = every_nth(1) if outputs.video and not source.live else chosen
    to_analyse = chosen if to_read is not chosen else every_nth(1)
    limit = math.inf if duration is None else duration
    frames = itertools.takewhile(lambda frame: frame.time_s < limit, source.frames(to_read))
    max_bytes_ahead = 0 if source.live else _MAX_BYTES_AHEAD
    rate = _ALWAYS if outputs.blur else DETECTIONS_PER_S
    results = analyse_frames(frames, predictor, to_analyse, max_bytes_ahead, rate)
    return require_one_label_set(results) if outputs.timeline else results


def _open_files(
    outputs: Outputs, source: Source, stack: contextlib.ExitStack
) -> Iterator[OnResult]:
    if outputs.timeline and outputs.baseline:
        opened = open_relative_timeline(outputs.timeline, outputs.about, outputs.baseline)
        yield stack.enter_context(opened).add
    elif outputs.timeline:
        yield stack.enter_context(open_timeline(outputs.timeline, outputs.about)).add
    pictures = list(_open_pictures(outputs, source, stack))
    if outputs.blur:
        pictures = [stack.enter_context(open_hider(pictures))]
    yield from pictures
    if outputs.study.paths():
        yield stack.enter_context(open_study(outputs.study, source, outputs.about))


def _open_pictures(
    outputs: Outputs, source: Source, stack: contextlib.ExitStack
) -> Iterator[OnResult]:
    if outputs.plot:
        # Matplotlib takes half a second to import.
        from emotion_ai.apps.watch.plot import open_plot

        yield stack.enter_context(
            open_plot(outputs.plot, Path(source.name).name, outputs.about)
        ).add
    if outputs.video:
        draw = draw_boxes if outputs.blur else draw_overlay
        yield stack.enter_context(
            open_annotator(outputs.video, source.fps, draw, outputs.about)
        ).add


def _consume(results: Iterator[FrameResult], callbacks: Sequence[OnResult]) -> Failure | None:
    """Pass every result to every callback, until the last one or a failure, which is returned."""
    with Interruption() as interruption:
        while True:
            try:
                with interruption.interruptible():
                    result = next(results, None)
            except (KeyboardInterrupt, SystemExit, EmotionAIError) as failure:
                return failure
            if result is None:
                return None
            for callback in callbacks:
                callback(result)


def _report(source: Source, totals: _Totals, outputs: Outputs, failure: Failure | None) -> None:
    """Print what was watched and written; raise the failure, naming the results that are kept."""
    if isinstance(failure, EmotionAIError):
        kept = f"; results until {clock(totals.time_s)}: {outputs}" if f"{outputs}" else ""
        raise type(failure)(f"{failure}{kept}")
    facts = [
        f"{clock(totals.time_s)} watched",
        f"{totals.analysed:,} of {source.frame_total or totals.frames:,} frames analysed",
        f"{totals.tracks} {'face' if totals.tracks == 1 else 'faces'} tracked",
    ]
    if source.live:
        facts.append(f"{source.dropped:,} frames dropped for newer ones")
    if f"{outputs}":
        facts.append(f"written: {outputs}")
    sys.stderr.write(f"{clean_line(f'{source.name}: ' + '; '.join(facts))}\n")
    if failure:
        raise failure
