"""The journal of a prediction in progress, from which an interrupted one resumes.

It is a file beside the output, `.NAME.journal`: a first line with the settings, then a line for
each picture that is done. At the end the output is written from it in one go.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from emotion_ai.client.records import Record
from emotion_ai.storage import translate_errors
from emotion_ai.storage.atomic_files import (
    check_writable_name,
    lock_exclusively,
    open_own_file,
)
from emotion_ai.storage.file_locks import let_rename

_MAX_LINE_BYTES = 16 * 1024 * 1024


class Journal:
    """The records of pictures that are done, by their paths, sizes and modification times.

    Args:
        file: The journal, open for reading and appending.
        settings: What the records depend on; a journal of others is discarded.
    """

    def __init__(self, file: BinaryIO, settings: dict[str, Any]) -> None:
        self._file = file
        self._header = _encode_line({"settings": settings})
        self._offsets: dict[str, int] = {}
        self._load()

    def _load(self) -> None:
        self._file.seek(0)
        if self._file.readline(_MAX_LINE_BYTES) != self._header:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(self._header)
            return
        while True:
            offset = self._file.tell()
            line = self._file.readline(_MAX_LINE_BYTES)
            try:
                self._offsets[json.loads(line)["key"]] = offset
            except (ValueError, KeyError, TypeError):
                # The end, or the partial last line of a process that was killed.
                self._file.seek(offset)
                self._file.truncate()
                return

    def __contains__(self, path: Path) -> bool:
        return _key(path) in self._offsets

    def add(self, path: Path, record: Record) -> None:
        """Append the record of a picture."""
        self._file.seek(0, os.SEEK_END)
        self._offsets[_key(path)] = self._file.tell()
        self._file.write(_encode_line({"key": _key(path), "record": record}))
        self._file.flush()

    def record(self, path: Path) -> Record:
        """Read the record of a picture that is done."""
        self._file.seek(self._offsets[_key(path)])
        record: Record = json.loads(self._file.readline(_MAX_LINE_BYTES))["record"]
        return record


def _encode_line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _key(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path}"
    return f"{path} {status.st_size} {status.st_mtime_ns}"


@contextlib.contextmanager
def open_journal(output: Path, settings: dict[str, Any]) -> Iterator[Journal]:
    """Open the journal of an output file; it is removed when the block ends without an exception.

    Args:
        output: The file whose journal to open.
        settings: A journal of other settings is discarded.

    Raises:
        InputError: Another process is writing it.
        Unavailable: It cannot be written.
    """
    check_writable_name(output)
    path = output.with_name(f".{output.name}.journal")
    with translate_errors(str(path)), open_own_file(path) as file:
        lock_exclusively(file, output)
        yield Journal(file, settings)
        let_rename(file)
        path.unlink(missing_ok=True)
