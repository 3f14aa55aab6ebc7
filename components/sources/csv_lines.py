"""Stream the lines of a CSV within bounds, whatever its separator, quotes and line ends.

One line is in memory at a time, and with a quoted cell of several lines, as many as it may have.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.sources.text_files import Lines, open_text, translate_damage

# A 96x96 face is at most 37 kB of text; the rest is for ignored columns.
MAX_LINE_BYTES = 256 * 1024
# Programs put ; where the comma is the decimal sign; the first of these in the header separates.
_SEPARATORS = (b",", b";", b"\t")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What Excel reads, and some programs write, before the header.
_EXCEL_LINE = re.compile(rb"(\xef\xbb\xbf)?sep=.", re.IGNORECASE)
# No coordinate is longer.
_MAX_NUMBER_BYTES = 32


class CsvLine(NamedTuple):
    """A line of a CSV: its number in the file, counted from 1, and its undecoded fields."""

    number: int
    fields: list[bytes]


class _Line(NamedTuple):
    number: int
    text: bytes


def read_lines(source: str) -> Iterator[CsvLine]:
    """Yield the lines of a CSV that are not empty, the header first.

    A quoted cell may go over several lines; the line ends in it become blanks. Excel writes
    separators alone for rows and columns that were once used: such rows are empty, and empty cells
    behind the header's last name are left out.

    Args:
        source: The CSV's path, `file://` or `gs://` URI.

    Yields:
        The lines, in order.

    Raises:
        InputError: The file is missing, damaged or of another format, has a line longer than
            `MAX_LINE_BYTES`, or unpacks to more than a hundred times its size.
        Unavailable: The storage failed.
    """
    with open_text(source) as text:
        lines = _physical_lines(source, text)
        header = next(lines, None)
        if header is not None and _EXCEL_LINE.fullmatch(header.text):
            header = next(lines, None)
        if header is None:
            return
        header_text = header.text.removeprefix(_BYTE_ORDER_MARK)
        separator = next((each for each in _SEPARATORS if each in header_text), b",")
        fields = _split_fields(header_text, separator)
        width = max((k for k, name in enumerate(fields, start=1) if name.strip()), default=0)
        yield CsvLine(header.number, fields[:width])
        for line in _records(lines, separator, len(fields)):
            if not any(map(bytes.strip, line.fields)):
                continue
            is_padded = len(line.fields) > width and not any(map(bytes.strip, line.fields[width:]))
            yield line._replace(fields=line.fields[:width]) if is_padded else line


def _physical_lines(source: str, text: Lines) -> Iterator[_Line]:
    number = 0
    while True:
        try:
            line = text.readline(MAX_LINE_BYTES + 1)
        except Exception:
            with translate_damage(source, f"after line {number}"):
                raise
        if not line:
            return
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                f"{source}: line {number} is longer than {MAX_LINE_BYTES} bytes; expected a "
                "CSV with one face a line"
            )
        line = line.rstrip(b"\r\n")
        if line:
            yield _Line(number, line)


def _records(lines: Iterator[_Line], separator: bytes, width: int) -> Iterator[CsvLine]:
    # Lines that were looked at for the end of a quoted cell, and are still to come.
    ahead: deque[_Line] = deque()
    while line := ahead.popleft() if ahead else next(lines, None):
        if b'"' in line.text and line.text.count(b'"') % 2:
            yield _join_quoted(line, ahead, lines, separator, width)
        else:
            yield CsvLine(line.number, _split_fields(line.text, separator))


def _join_quoted(
    first: _Line, ahead: deque[_Line], lines: Iterator[_Line], separator: bytes, width: int
) -> CsvLine:
    """Join a line with an open quote to those up to the closing one, if that makes a whole row.

    Otherwise the quote is a slip in this line alone, and the lines after it stay as they are.
    """
    texts, size = [first.text], len(first.text)
    while size <= MAX_LINE_BYTES:
        if len(texts) > len(ahead):
            following = next(lines, None)
            if following is None:
                break
            ahead.append(following)
        texts.append(ahead[len(texts) - 1].text)
        size += 1 + len(texts[-1])
        if texts[-1].count(b'"') % 2:
            # Strictly: a quote that closes no cell belongs to another row.
            fields = _parse_quotes(b" ".join(texts), separator, strict=True)
            if len(fields) == width:
                for _ in texts[1:]:
                    ahead.popleft()
                return CsvLine(first.number, fields)
            break
    return CsvLine(first.number, _split_fields(first.text, separator))


def _split_fields(line: bytes, separator: bytes) -> list[bytes]:
    fields = _parse_quotes(line, separator) if b'"' in line else line.split(separator)
    if separator == b";":
        # Here a comma is a decimal sign.
        fields = [
            field.replace(b",", b".") if len(field) <= _MAX_NUMBER_BYTES else field
            for field in fields
        ]
    return fields


def _parse_quotes(line: bytes, separator: bytes, **rules: Any) -> list[bytes]:
    """Split a line with quotes; return it whole if it breaks the rules of `csv.reader`."""
    text = line.decode("utf-8", "surrogateescape")
    reader = csv.reader([text], delimiter=separator.decode(), skipinitialspace=True, **rules)
    try:
        return [field.encode("utf-8", "surrogateescape") for field in next(reader)]
    except csv.Error:
        return [line]
