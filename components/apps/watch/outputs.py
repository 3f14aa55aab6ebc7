"""Files that are written over hours, by libraries that take a name: whole at the end, or absent."""

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from emotion_ai.errors import InputError
from emotion_ai.storage import translate_errors
from emotion_ai.storage.atomic_files import (
    check_writable_name,
    flush,
    flush_folder,
    lock_exclusively,
)


def check_output(path: Path, suffixes: Collection[str]) -> None:
    """Raise `InputError` for a name that cannot be written or has none of these suffixes."""
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(suffixes)}")
    check_writable_name(path)


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, of its suffix, that takes its name when the block ends well.

    It is removed when the block raises. Raises `InputError` while another process writes there, and
    `Unavailable` where the file system does not do its part, in the block too.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with translate_errors(str(path)), partial.open("ab") as file:
        lock_exclusively(file, path)
        try:
            file.truncate(0)
            yield partial
            flush(file)
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    flush_folder(path.parent)
