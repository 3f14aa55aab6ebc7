"""Sum up each face, and find its baseline: what is usual for it."""

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.rows import open_rows, rounded
from emotion_ai.client.records import Row
from emotion_ai.client.results import Face
from emotion_ai.errors import InputError
from emotion_ai.faces.head_pose import Pose
from emotion_ai.faces.measures import MEASURES

_MAX_BASELINE_S = 60.0
# A face that was not seen for longer, and in so many analysed frames, does not come back: its
# number is used no more.
_FORGET_S, _FORGET_MISSES = 10.0, 10
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")

# The columns that have a name of their own, before the means, the baselines and the changes.
_COUNTS = ("track", "from_s", "to_s", "looks", "baseline_looks")
# Receives a face's row and its baseline when it does not come back.
OnPerson = Callable[[dict[str, Any], dict[str, float]], None]


class Baseline(NamedTuple):
    """The time from which a face's baseline is taken, as the median of what it shows then.

    Attributes:
        from_s: The beginning; None for a face's own first look.
        length_s: How long it is, at most a minute.
    """

    from_s: float | None = None
    length_s: float = 5.0

    def contains(self, time_s: float, first_s: float) -> bool:
        """Whether a time belongs to the baseline of a face that was seen at `first_s` first."""
        start_s = first_s if self.from_s is None else self.from_s
        return start_s <= time_s < start_s + self.length_s


def read_baseline(text: str) -> Baseline:
    """Read `SECONDS` of each face, or `FROM-TO` of the video.

    Raises:
        InputError: It is neither, or longer than a minute.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"baseline {text!r}: expected the seconds after a face's first look, such as 5, or a "
            "span of the video, such as 10-20"
        )
    first = float(found[1])
    baseline = Baseline(first, float(found[2]) - first) if found[2] else Baseline(None, first)
    if not 0 < baseline.length_s <= _MAX_BASELINE_S:
        raise InputError(
            f"baseline {text!r}: expected a span of more than 0 and at most {_MAX_BASELINE_S:.0f} s"
        )
    return baseline


def value_names(labels: Iterable[str]) -> list[str]:
    """Return the names of the numbers that a face with these emotions shows; see `values_of`."""
    probabilities = [f"probability_{label}" for label in labels]
    return [*probabilities, "valence", *Pose._fields, *(f"measure_{name}" for name in MEASURES)]


def values_of(face: Face) -> dict[str, float]:
    """Return the numbers that a face shows, by the names of their columns; unknown ones are NaN."""
    valence, pose, measures = face.valence, face.pose, face.measures
    values = {f"probability_{name}": p for name, p in face.probabilities.items()}
    values["valence"] = np.nan if valence is None else valence
    values |= pose._asdict() if pose else dict.fromkeys(Pose._fields, np.nan)
    sizes = measures or dict.fromkeys(MEASURES, np.nan)
    return values | {f"measure_{name}": size for name, size in sizes.items()}


class _Person:
    """The sums of a face, and what it showed during its baseline."""

    def __init__(self, first_s: float) -> None:
        self.first_s = self.seen_s = first_s
        self.looks = self.misses = 0
        self.totals: dict[str, float] = {}
        self.known: dict[str, int] = {}
        self.usual: list[dict[str, float]] = []

    def add(self, face: Face, time_s: float, in_baseline: bool) -> None:
        """Count a look."""
        values = values_of(face)
        self.seen_s, self.misses = time_s, 0
        self.looks += 1
        for name, value in values.items():
            if not np.isnan(value):
                self.totals[name] = self.totals.get(name, 0.0) + value
                self.known[name] = self.known.get(name, 0) + 1
        if in_baseline:
            self.usual.append(values)

    def baseline(self) -> dict[str, float]:
        """Return the medians by name; empty where the face was not seen then."""
        names = dict.fromkeys(name for values in self.usual for name in values)
        series = {name: [values.get(name, np.nan) for values in self.usual] for name in names}
        return {
            name: float(np.nanmedian(numbers))
            for name, numbers in series.items()
            if not np.isnan(numbers).all()
        }

    def row(self, track: int) -> dict[str, Any]:
        """Return the columns of a row."""
        times = (round(self.first_s, 3), round(self.seen_s, 3))
        row: dict[str, Any] = dict(
            zip(_COUNTS, (track, *times, self.looks, len(self.usual)), strict=True)
        )
        usual = self.baseline()
        for name, total in self.totals.items():
            mean = total / self.known[name]
            row[f"mean_{name}"] = rounded(mean)
            if name in usual:
                row[f"baseline_{name}"] = rounded(usual[name])
                row[f"change_{name}"] = rounded(mean - usual[name])
        return row


class People:
    """Sums up each face while a video is read; memory grows with those seen in ten seconds.

    Args:
        baseline: The time of the baselines.
        on_person: Receives each face, once it does not come back.
    """

    def __init__(self, baseline: Baseline, on_person: OnPerson) -> None:
        self._baseline = baseline
        self._on_person = on_person
        self._people: dict[int, _Person] = {}

    def add(self, result: FrameResult) -> None:
        """Add a frame."""
        if result.faces is None:
            return
        time_s = result.frame.time_s
        for track, face in result.faces:
            person = self._people.setdefault(track, _Person(time_s))
            person.add(face, time_s, self._baseline.contains(time_s, person.first_s))
        for track in self._people.keys() - {track for track, _ in result.faces}:
            person = self._people[track]
            person.misses += 1
            if person.misses >= _FORGET_MISSES and time_s - person.seen_s > _FORGET_S:
                self._pass_on(track)

    def end(self) -> None:
        """Pass on those who are left."""
        for track in sorted(self._people):
            self._pass_on(track)

    def _pass_on(self, track: int) -> None:
        person = self._people.pop(track)
        self._on_person(person.row(track), person.baseline())


def labels_of(person: Row) -> list[str]:
    """Return the emotions that a face's row has means of."""
    prefix = "mean_probability_"
    return [name.removeprefix(prefix) for name in person if name.startswith(prefix)]


def write_people(path: Path, people: Callable[[], Iterable[Row]], about: Mapping[str, str]) -> None:
    """Write a row for each face; which columns there are depends on the label set alone.

    Args:
        path: The file, .csv or .parquet.
        people: Returns the rows, at each call anew: the columns are found in a first pass.
        about: Values that all rows have, by column.
    """
    labels = dict.fromkeys(label for row in people() for label in labels_of(row))
    counts = [f"{prefix}_{label}" for prefix in ("episodes", "seconds") for label in labels]
    values = [
        f"{prefix}_{name}"
        for prefix in ("mean", "baseline", "change")
        for name in value_names(labels)
    ]
    columns = [*_COUNTS, *counts, *values]
    with contextlib.closing(open_rows(path, columns, about)) as rows:
        for row in people():
            rows.add(row)
