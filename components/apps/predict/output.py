"""The formats of predictions: JSON lines, CSV, Parquet and a table.

A record is `Prediction.as_dict()`, with a `purpose` if one is declared. JSON lines have a line for
each picture. The other formats have a row for each face, and one without a face for a picture in
which none was found or that could not be read.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from emotion_ai.client.records import (
    BOX_COLUMNS,
    PURPOSE,
    CsvRows,
    ParquetRows,
    Record,
    Row,
    face_columns,
    face_row,
    json_line,
)
from emotion_ai.errors import InputError
from emotion_ai.terminal import clean_console, clean_line

# Returns the same records at each call: the columns are found in a first pass over them.
RecordSource = Callable[[], Iterable[Record]]

FORMATS = ("jsonl", "csv", "parquet", "table")
_SYNONYMS = {"json": "jsonl", "ndjson": "jsonl", "txt": "table"}
_MAX_ROWS_HELD = 10_000


def choose_format(name: str, path: Path | None) -> str:
    """Choose the output format by its name, else by the suffix of the output file.

    Args:
        name: One of `FORMATS` or a synonym, or "".
        path: The output file, if any.

    Returns:
        One of `FORMATS`; "" where there is neither a name nor a suffix.

    Raises:
        InputError: The format is unknown.
    """
    chosen = name or (path.suffix.lstrip(".").lower() if path else "")
    chosen = _SYNONYMS.get(chosen, chosen)
    if chosen and chosen not in FORMATS:
        where = f"format {name!r}" if name else f"{path}: format {chosen!r}"
        raise InputError(f"{where} is unknown; expected one of {', '.join(FORMATS)}")
    return chosen


def write_text(records: RecordSource, format: str, file: TextIO) -> None:
    """Write records as `jsonl`, `csv` or `table`."""
    if format == "jsonl":
        file.writelines(map(json_line, records()))
    elif format == "csv":
        rows = CsvRows(file, _columns(records))
        for row in _rows(records()):
            rows.add(row)
    else:
        _write_table(records(), file)


def write_parquet(records: RecordSource, file: BinaryIO) -> None:
    """Write records as Parquet; see `ParquetRows` for the types of the columns."""
    with contextlib.closing(ParquetRows(file, _columns(records), _MAX_ROWS_HELD)) as rows:
        for row in _rows(records()):
            rows.add(row)


def _columns(records: RecordSource) -> list[str]:
    # There may be two label sets: a rollout can happen between two requests.
    labels = dict.fromkeys(
        label for record in records() for face in record["faces"] for label in face["probabilities"]
    )
    purpose = [PURPOSE] if any(PURPOSE in record for record in records()) else []
    return ["file", "face", *BOX_COLUMNS, *face_columns(labels), "error", *purpose]


def _rows(records: Iterable[Record]) -> Iterator[Row]:
    for record in records:
        common = {name: record[name] for name in ("file", PURPOSE) if name in record}
        if not record["faces"]:
            yield common | ({"error": record["error"]} if "error" in record else {})
        for number, face in enumerate(record["faces"]):
            yield common | {"face": number} | face_row(face)


def _write_table(records: Iterable[Record], file: TextIO) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), caption_justify="left")
    table.add_column("picture", overflow="fold", ratio=1)
    table.add_column("face at", no_wrap=True)
    table.add_column("emotion", no_wrap=True)
    table.add_column("next most probable", overflow="fold")
    table.add_column("release", justify="right")
    for record in records:
        for cells in _table_cells(record):
            table.add_row(*cells)
        if PURPOSE in record:
            table.caption = f"purpose: {escape(clean_line(record[PURPOSE]))}"
    width = shutil.get_terminal_size((120, 24)).columns
    clean_console(file, max(width, 60)).print(table)


def _table_cells(record: Record) -> Iterator[tuple[str, ...]]:
    from rich.markup import escape

    name = escape(clean_line(record["file"]))
    if not record["faces"]:
        reason = record.get("error", "no face found").removeprefix(f"{record['file']}: ")
        yield name, "", "", escape(clean_line(reason)), ""
    for face in record["faces"]:
        box = face["box"]
        ranked = sorted(face["probabilities"].items(), key=lambda item: -item[1])
        most, *others = (escape(clean_line(f"{label} {p:.0%}")) for label, p in ranked[:3])
        if face["cannot_tell"]:
            most, others = "cannot tell", [f"{face['cannot_tell']}: {most}", *others]
        yield (
            name,
            f"{box['left']:.0f},{box['top']:.0f} {box['width']:.0f}x{box['height']:.0f}",
            most,
            ", ".join(others),
            str(face["model_version"]),
        )
        # The picture's name is shown once.
        name = ""
