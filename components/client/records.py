"""Results as text or a file: JSON lines, CSV, Parquet, a table.

A record is `Prediction.as_dict()`. JSON lines have a line a picture; the others have a row a face,
and one without a face for a picture where none was found or that could not be read.
"""

import csv
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import COLUMNS

Record = dict[str, Any]
# The same records each time it is called.
Records = Callable[[], Iterable[Record]]

FORMATS = ("jsonl", "csv", "parquet", "table")
BOX = ("left", "top", "width", "height")
_TEXTS = ("file", "emotion", "error")
_COUNTS = ("face", "model_version")
# Rows of a Parquet file that are held at once.
_ROW_GROUP = 10_000


def format_of(name: str, path: Path | None) -> str:
    """The format of this name, else that of the path's suffix; "" where neither says.

    Raises `InputError` where it is unknown.
    """
    chosen = name or (path.suffix.lstrip(".").lower() if path else "")
    chosen = {"json": "jsonl", "ndjson": "jsonl", "txt": "table"}.get(chosen, chosen)
    if chosen and chosen not in FORMATS:
        where = f"format {name!r}" if name else f"{path}: format {chosen!r}"
        raise InputError(f"{where} is unknown; expected one of {', '.join(FORMATS)}")
    return chosen


def check_packages(format: str) -> None:
    """Raise `InputError` where a package that the format needs is not installed."""
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            "format parquet needs package pyarrow: pip install 'emotion-ai[parquet]', or choose csv"
        )


def json_line(record: Record) -> str:
    """A record on a line of its own."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def write_text(records: Records, format: str, file: TextIO) -> None:
    """Write records as `jsonl`, `csv` or `table`."""
    if format == "jsonl":
        file.writelines(map(json_line, records()))
    elif format == "csv":
        writer = csv.DictWriter(file, _columns(records), lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rows(records()))
    else:
        _write_table(records, file)


def write_parquet(records: Records, file: BinaryIO) -> None:
    """Write records as Parquet: numbers as double, texts as string, counts as int64."""
    import pyarrow
    from pyarrow import parquet

    kinds = dict.fromkeys(_TEXTS, pyarrow.string()) | dict.fromkeys(_COUNTS, pyarrow.int64())
    columns = _columns(records)
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in columns])
    with parquet.ParquetWriter(file, schema) as writer:
        rows: list[dict[str, Any]] = []
        for row in _rows(records()):
            rows.append(row)
            if len(rows) == _ROW_GROUP:
                writer.write_table(pyarrow.Table.from_pylist(rows, schema))
                rows = []
        writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def _labels(records: Records) -> list[str]:
    # Two label sets can meet: a rollout may happen between two requests.
    return list(
        dict.fromkeys(
            label
            for record in records()
            for face in record["faces"]
            for label in face["probabilities"]
        )
    )


def _columns(records: Records) -> list[str]:
    return ["file", "face", *BOX, *face_columns(_labels(records)), "error"]


def face_columns(labels: Iterable[str]) -> list[str]:
    """The columns that say what is known of a face, after its box."""
    shares = [f"probability_{label}" for label in labels]
    return ["score", "emotion", *shares, *COLUMNS, "model_version", "latency_ms"]


def face_row(face: Record) -> dict[str, Any]:
    """`Face.as_dict()` as values of `BOX` and `face_columns`."""
    row = face["box"] | {name: face[name] for name in ("score", "emotion", "model_version")}
    row["latency_ms"] = face["latency_ms"]
    row |= {f"probability_{name}": p for name, p in face["probabilities"].items()}
    for name, (x, y) in face["keypoints"].items():
        row |= {f"{name}_x": x, f"{name}_y": y}
    return row


def _rows(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        named = {"file": record["file"]}
        if not record["faces"]:
            yield named | ({"error": record["error"]} if "error" in record else {})
        for number, face in enumerate(record["faces"]):
            yield named | {"face": number} | face_row(face)


def _write_table(records: Records, file: TextIO) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("picture", overflow="fold", ratio=1)
    table.add_column("face at", no_wrap=True)
    table.add_column("emotion", no_wrap=True)
    table.add_column("or else", overflow="fold")
    table.add_column("release", justify="right")
    for record in records():
        name = escape(record["file"])
        if not record["faces"]:
            reason = record.get("error", "no face found").removeprefix(f"{record['file']}: ")
            table.add_row(name, "", "", escape(reason), "")
        for face in record["faces"]:
            box = face["box"]
            told = sorted(face["probabilities"].items(), key=lambda named: -named[1])
            table.add_row(
                name,
                f"{box['left']:.0f},{box['top']:.0f} {box['width']:.0f}x{box['height']:.0f}",
                *(escape(", ".join(f"{n} {p:.0%}" for n, p in part)) for part in _split(told)),
                str(face["model_version"]),
            )
            # A group's name stands once.
            name = ""
    width = shutil.get_terminal_size((120, 24)).columns
    Console(file=file, width=max(width, 60)).print(table)


def _split(told: list[tuple[str, float]]) -> tuple[list[tuple[str, float]], ...]:
    return told[:1], told[1:3]
