"""The formats of predictions: JSON lines, CSV, Parquet and a table.

A record is `Prediction.as_dict()`, with a `purpose` if one is declared. JSON lines have a line for
each picture. The other formats have a row for each face, and one without a face for a picture in
which none was found or that could not be read.
"""

import contextlib
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
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
_TABLE_COLUMNS = ("picture", "face at", "emotion", "next most probable", "release")
# In a table: so much of an emotion's name, and at least so much of a picture's.
_MAX_LABEL, _MIN_NAME = 16, 8
# Between what stays on one line.
_NO_BREAK = "\N{NO-BREAK SPACE}"


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
    table.add_column("picture", no_wrap=True)
    table.add_column("face at", no_wrap=True)
    table.add_column("emotion", no_wrap=True)
    table.add_column("next most probable", overflow="fold")
    table.add_column("release", justify="right")
    rows: list[tuple[str, ...]] = []
    for record in records:
        rows += _table_cells(record)
        if PURPOSE in record:
            table.caption = f"purpose: {escape(clean_line(record[PURPOSE]))}"
    width = max(shutil.get_terminal_size((120, 24)).columns, 60)
    for row in _fit_rows(rows, width):
        table.add_row(*map(escape, row))
    clean_console(file, width).print(table)


def _fit_rows(rows: Sequence[tuple[str, ...]], width: int) -> Iterator[tuple[str, ...]]:
    """Shorten the names, and break the lines of what is next most probable, to fit in a width."""
    from rich.cells import cell_len

    columns = zip(_TABLE_COLUMNS, *rows, strict=True)
    names, *others = (max(map(cell_len, cells)) + 2 for cells in columns)
    free = width - sum(others) + others[2]
    for_others = min(others[2], max(free // 2, free - names))
    for_names = max(_MIN_NAME, free - for_others - 2)
    for name, place, most, rest, release in rows:
        lines = textwrap.fill(
            rest, max(for_others - 2, 1), break_on_hyphens=False, break_long_words=False
        )
        yield _shorten(name, for_names), place, most, lines.replace(_NO_BREAK, " "), release


def _shorten(text: str, width: int) -> str:
    """Put an ellipsis in the middle of a text that is too long; the end of a path tells more."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    start = (width - 1) // 3
    end = set_cell_size(text[::-1], width - 1 - start)[::-1]
    return f"{set_cell_size(text, start).rstrip()}…{end.lstrip()}"


def _table_cells(record: Record) -> Iterator[tuple[str, ...]]:
    name = clean_line(record["file"])
    if not record["faces"]:
        reason = record.get("error", "no face found").removeprefix(f"{record['file']}: ")
        yield name, "", "", clean_line(reason), ""
    for face in record["faces"]:
        box = face["box"]
        ranked = sorted(face["probabilities"].items(), key=lambda item: -item[1])
        shown = [(_shorten(clean_line(label), _MAX_LABEL), p) for label, p in ranked[:3]]
        most, *others = (f"{label} {p:.0%}".replace(" ", _NO_BREAK) for label, p in shown)
        if face["cannot_tell"]:
            most, others = "cannot tell", [f"{face['cannot_tell']}: {most}", *others]
        yield (
            name,
            f"{box['left']:.0f},{box['top']:.0f} {box['width']:.0f}x{box['height']:.0f}",
            most.replace(_NO_BREAK, " "),
            ", ".join(others),
            str(face["model_version"]),
        )
        # The picture's name is shown once.
        name = ""
