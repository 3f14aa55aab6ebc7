"""Events and people of a video: collected while it is read, written when it ends."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.episodes import EpisodeFinder
from emotion_ai.apps.watch.event_files import Media, write_events
from emotion_ai.apps.watch.event_store import EventStore, open_event_store
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.apps.watch.people import Baseline, People, write_people
from emotion_ai.apps.watch.sources import Source


class Study(NamedTuple):
    """What is written of events and people.

    Attributes:
        events: Files of events, with suffixes of `event_files.WRITERS`.
        people: A .csv or .parquet with a row for each face; None for none.
        baseline: From when each face's baseline is taken.
    """

    events: tuple[Path, ...] = ()
    people: Path | None = None
    baseline: Baseline = Baseline()

    def paths(self) -> Sequence[Path]:
        """Return the files."""
        return (*self.events, *([self.people] if self.people else []))


@contextlib.contextmanager
def open_study(
    study: Study, source: Source, about: Mapping[str, str]
) -> Iterator[Callable[[FrameResult], None]]:
    """Collect results, and write the files when the block succeeds; see `atomic_output`.

    Args:
        study: What to write.
        source: What is watched.
        about: Its purpose by `PURPOSE`, if one is declared, for all files.

    Yields:
        Takes each result.

    Raises:
        InputError: Another process is writing a file.
        Unavailable: The file system failed.
    """
    with open_event_store() as store, contextlib.ExitStack() as stack:
        partials = {path: stack.enter_context(atomic_output(path)) for path in study.paths()}
        finder = EpisodeFinder(store.add)
        people = People(study.baseline, _keeper(store))
        end_s = 0.0

        def add(result: FrameResult) -> None:
            nonlocal end_s
            end_s = result.frame.time_s + 1 / source.fps
            finder.add(result)
            people.add(result)

        yield add
        finder.end()
        people.end()
        # Frames follow the last one that was taken, all the more where the watching was ended.
        end_s = max(end_s, source.duration_s)
        media = Media(None if source.live else Path(source.name), end_s, source.fps, about)
        for path in study.events:
            write_events(partials[path], path, store, media)
        if study.people:
            write_people(partials[study.people], store.people, about)


def _keeper(store: EventStore) -> Callable[[dict[str, Any], dict[str, float]], None]:
    def keep(row: dict[str, Any], baseline: dict[str, float]) -> None:
        store.add_person(row)
        store.add_baseline(row["track"], baseline)

    return keep
