"""The record of a long prediction under way, from which an interrupted one goes on.

A file beside the output, `.NAME.journal`: a first line with the settings, then a line for each
picture that is done. The output itself is written whole from it, at the end.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from emotion_ai.client.records import Record
from emotion_ai.storage import translate_errors
from emotion_ai.storage.atomic_files import check_writable_name, lock_exclusively

_MAX_LINE_BYTES = 16 * 1024 * 1024


class Journal:
    """What is done already, by the pictures' paths, sizes and times of change."""

    def __init__(self, file: BinaryIO, settings: dict[str, Any]) -> None:
        self._file = file
        self._head = _line({"settings": settings})
        self._places: dict[str, int] = {}
        self._resume()

    def _resume(self) -> None:
        self._file.seek(0)
        if self._file.readline(_MAX_LINE_BYTES) != self._head:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(self._head)
            return
        while True:
            place = self._file.tell()
            line = self._file.readline(_MAX_LINE_BYTES)
            try:
                self._places[json.loads(line)["key"]] = place
            except (ValueError, KeyError, TypeError):
                # The last line of a process that was killed while it wrote; or none.
                self._file.seek(place)
                self._file.truncate()
                return

    def __contains__(self, path: Path) -> bool:
        return _key(path) in self._places

    def add(self, path: Path, record: Record) -> None:
        """Note that a picture is done."""
        self._file.seek(0, os.SEEK_END)
        self._places[_key(path)] = self._file.tell()
        self._file.write(_line({"key": _key(path), "record": record}))
        self._file.flush()

    def record(self, path: Path) -> Record:
        """What was noted of a picture that is done."""
        self._file.seek(self._places[_key(path)])
        record: Record = json.loads(self._file.readline(_MAX_LINE_BYTES))["record"]
        return record


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _key(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path}"
    return f"{path} {status.st_size} {status.st_mtime_ns}"


@contextlib.contextmanager
def open_journal(output: Path, settings: dict[str, Any]) -> Iterator[Journal]:
    """The journal of `output`, empty where there is none of the same settings.

    It is removed when the block ends well, and kept when it raises. Raises `InputError` while
    another process writes it, and `Unavailable` where it cannot be written.
    """
    check_writable_name(output)
    path = output.with_name(f".{output.name}.journal")
    with translate_errors(str(path)), path.open("a+b") as file:
        lock_exclusively(file, output)
        yield Journal(file, settings)
        path.unlink(missing_ok=True)
