"""The timeline with what differs from each face's baseline, in columns `change_*`.

A baseline is known when its time is over, which may be long after a face's first rows. So the rows
are kept in a temporary file, and written at the end.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.apps.watch.people import Baseline, People, value_names
from emotion_ai.apps.watch.rows import open_rows, rounded
from emotion_ai.apps.watch.timeline import columns_of, rows_of
from emotion_ai.client.records import Row


class RelativeTimeline:
    """Collects the rows of results; writes them at the end.

    Args:
        path: The file to write.
        about: Values that all rows have, by column.
        baseline: The time of the baselines.
        spool: An empty file for the rows until then.
    """

    def __init__(
        self, path: Path, about: Mapping[str, str], baseline: Baseline, spool: TextIO
    ) -> None:
        self._path = path
        self._about = about
        self._spool = spool
        self._people = People(baseline, self._keep)
        # Of each face by its number.
        self._baselines: dict[int, dict[str, float]] = {}
        self._labels: dict[str, None] = {}

    def add(self, result: FrameResult) -> None:
        """Keep a row for each face in the frame."""
        self._people.add(result)
        for row in rows_of(result):
            self._spool.write(f"{json.dumps(row)}\n")
        for _, face in result.faces or ():
            self._labels |= dict.fromkeys(face.probabilities)

    def end(self) -> None:
        """Write the rows."""
        self._people.end()
        columns = columns_of(self._labels)
        changes = [f"change_{name}" for name in value_names(self._labels)]
        self._spool.seek(0)
        with contextlib.closing(open_rows(self._path, [*columns, *changes], self._about)) as rows:
            for line in self._spool:
                row = json.loads(line)
                rows.add(row | _changes(row, self._baselines.get(row["track"], {})))

    def _keep(self, person: dict[str, Any], usual: dict[str, float]) -> None:
        self._baselines[person["track"]] = usual


def _changes(row: Row, usual: Mapping[str, float]) -> Row:
    return {
        f"change_{name}": rounded(row[name] - value)
        for name, value in usual.items()
        if row.get(name) is not None
    }


@contextlib.contextmanager
def open_relative_timeline(
    path: Path, about: Mapping[str, str], baseline: Baseline
) -> Iterator[RelativeTimeline]:
    """Open a timeline that appears at `path` when the block succeeds; see `atomic_output`.

    Args:
        path: The file to write.
        about: Values that all rows have, by column.
        baseline: The time of the baselines.
    """
    with atomic_output(path) as partial, tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        timeline = RelativeTimeline(partial, about, baseline, spool)
        yield timeline
        timeline.end()
