"""The timeline: a row a face and look, as CSV or Parquet, written as the video goes on.

Columns: `time_s`, `frame` (from 0), `track`, the box's `left`, `top`, `width`, `height` in pixels,
the detector's `score`, `emotion`, `probability_` with each of the model's labels, the keypoints as
`NAME_x` and `NAME_y` in pixels, `model_version`, `latency_ms`. A look without a face has no row.
"""

import contextlib
import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.outputs import appearing
from emotion_ai.client.records import BOX, face_columns, face_row
from emotion_ai.errors import Unavailable

_PLACE = ("time_s", "frame", "track")
_COUNTS = ("frame", "track", "model_version")
# Rows of a Parquet file that are held at once.
_ROW_GROUP = 1_000

Row = dict[str, Any]


class _Sheet(Protocol):
    """A file of rows; its columns are known before the first."""

    def add(self, row: Row) -> None:
        """Write a row."""

    def end(self) -> None:
        """Write what is left."""


class Timeline:
    """Writes the rows of looks to a file; its columns are those of the first face's labels."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sheet: _Sheet | None = None

    def add(self, look: FrameResult) -> None:
        """Write a row for each face of the look."""
        for track, face in look.sightings or ():
            sheet = self._sheet = self._sheet or self._begun(face.probabilities)
            time_s = round(look.frame.time_s, 3)
            place = {"time_s": time_s, "frame": look.frame.number, "track": track}
            sheet.add(place | face_row(face.as_dict()))

    def end(self) -> None:
        """Write what is left, and the columns where no face was seen."""
        (self._sheet or self._begun(())).end()

    def _begun(self, labels: Iterable[str]) -> _Sheet:
        sheet = _Parquet if self._path.suffix.lower() == ".parquet" else _Csv
        return sheet(self._path, [*_PLACE, *BOX, *face_columns(labels)])


@contextlib.contextmanager
def open_timeline(path: Path) -> Iterator[Timeline]:
    """A timeline that is at `path` when the block has ended well; see `outputs.appearing`."""
    with appearing(path) as partial:
        timeline = Timeline(partial)
        try:
            yield timeline
            timeline.end()
        except BaseException:
            # What cannot be written now would be tried, and complained of, when it is collected.
            with contextlib.suppress(Exception):
                timeline.end()
            raise


def one_label_set(looks: Iterable[FrameResult]) -> Iterator[FrameResult]:
    """The looks again, as far as they have the same labels.

    Raises `Unavailable` where a release that was rolled out meanwhile tells others: a timeline has
    no columns for them.
    """
    labels: tuple[str, ...] = ()
    for look in looks:
        for _, face in look.sightings or ():
            told = tuple(face.probabilities)
            labels = labels or told
            if told != labels:
                raise Unavailable(
                    f"the server's release {face.model_version} tells {', '.join(told)}, and the "
                    f"one before {', '.join(labels)}: choose one with --release"
                )
        yield look


class _Csv:
    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, columns, lineterminator="\n")
        self._writer.writeheader()

    def add(self, row: Row) -> None:
        """See `_Sheet`."""
        self._writer.writerow(row)

    def end(self) -> None:
        """See `_Sheet`."""
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        import pyarrow
        from pyarrow import parquet

        kinds = dict.fromkeys(_COUNTS, pyarrow.int64()) | {"emotion": pyarrow.string()}
        self._schema = pyarrow.schema(
            [(name, kinds.get(name, pyarrow.float64())) for name in columns]
        )
        self._writer = parquet.ParquetWriter(str(path), self._schema)
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """See `_Sheet`."""
        self._rows.append(row)
        if len(self._rows) == _ROW_GROUP:
            self._write()

    def end(self) -> None:
        """See `_Sheet`."""
        self._write()
        self._writer.close()

    def _write(self) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []
