"""The timeline: a row for each face in each analysed frame, as CSV or Parquet.

Columns: `time_s`, `frame` (from 0), `track`, the box's `left`, `top`, `width`, `height` in pixels,
the detector's `score`, `emotion`, `probability_` with each of the model's labels, `valence`, the
head's `yaw`, `pitch` and `roll`, `measure_` with each measure's name, the keypoints as `NAME_x` and
`NAME_y` in pixels, `model_version`, `latency_ms`, and `purpose` if one is declared. Rows are
written while the video is read. A frame without a face has no row.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.apps.watch.rows import RowWriter, open_rows
from emotion_ai.client.records import BOX_COLUMNS, Row, face_columns, face_row
from emotion_ai.errors import Unavailable

_FRAME_COLUMNS = ("time_s", "frame", "track")


class Timeline:
    """Writes the rows of results to a file; its columns are those of the first face's labels."""

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        self._path = path
        self._about = about
        self._rows: RowWriter | None = None

    def add(self, result: FrameResult) -> None:
        """Write a row for each face in the frame."""
        for row, (_, face) in zip(rows_of(result), result.faces or (), strict=True):
            self._rows = self._rows or self._open_rows(face.probabilities)
            self._rows.add(row)

    def end(self) -> None:
        """Write the rest; without any face, the columns alone."""
        (self._rows or self._open_rows(())).close()

    def _open_rows(self, labels: Iterable[str]) -> RowWriter:
        return open_rows(self._path, columns_of(labels), self._about)


def columns_of(labels: Iterable[str]) -> list[str]:
    """Return the columns of a timeline, of faces with these emotions."""
    return [*_FRAME_COLUMNS, *BOX_COLUMNS, *face_columns(labels)]


def rows_of(result: FrameResult) -> Iterator[Row]:
    """Yield a row for each face of a frame."""
    for track, face in result.faces or ():
        time_s = round(result.frame.time_s, 3)
        frame = {"time_s": time_s, "frame": result.frame.number, "track": track}
        yield frame | face_row(face.as_dict())


@contextlib.contextmanager
def open_timeline(path: Path, about: Mapping[str, str] = {}) -> Iterator[Timeline]:
    """Open a timeline that appears at `path` when the block succeeds; see `atomic_output`.

    Args:
        path: The file to write.
        about: Values that all rows have, by column.
    """
    with atomic_output(path) as partial:
        timeline = Timeline(partial, about)
        try:
            yield timeline
            timeline.end()
        except BaseException:
            # Left open, it would be written when it is collected, and print what fails then.
            with contextlib.suppress(Exception):
                timeline.end()
            raise


def require_one_label_set(results: Iterable[FrameResult]) -> Iterator[FrameResult]:
    """Pass results on as long as their faces have the same labels.

    Raises:
        Unavailable: A release with other labels was rolled out; the timeline has no columns for
            them.
    """
    labels: tuple[str, ...] = ()
    for result in results:
        for _, face in result.faces or ():
            current = tuple(face.probabilities)
            labels = labels or current
            if current != labels:
                raise Unavailable(
                    f"the server's release {face.model_version} has labels {', '.join(current)}, "
                    f"and the one before {', '.join(labels)}: choose one with --release"
                )
        yield result
