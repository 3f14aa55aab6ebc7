"""Write files over hours, through libraries that take a name: complete at the end, or absent."""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from emotion_ai.apps.watch.opencv import check_name
from emotion_ai.errors import InputError
from emotion_ai.storage import translate_errors
from emotion_ai.storage.atomic_files import (
    check_writable_name,
    flush,
    flush_folder,
    follow_links,
    lock_exclusively,
    open_own_file,
)
from emotion_ai.storage.file_locks import let_rename


def check_output(path: Path, suffixes: Collection[str]) -> None:
    """Raise `InputError` for a name that cannot be written or has none of these suffixes."""
    if path.suffix.lower() not in suffixes:
        raise InputError(f"{path}: expected a name that ends in {' or '.join(suffixes)}")
    check_writable_name(follow_links(path))
    check_name(path)


@contextlib.contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Create an empty file beside `path`, and rename it to `path` when the block succeeds.

    The file has the suffix of `path`. It is removed when the block raises.

    Args:
        path: The file to write.

    Yields:
        The path to write to within the block.

    Raises:
        InputError: Another process is writing the file.
        Unavailable: The file system failed, within the block too.
    """
    suffix, path = path.suffix, follow_links(path)
    partial = path.with_name(f".{path.stem}.partial{suffix}")
    with translate_errors(str(path)), open_own_file(partial) as file:
        lock_exclusively(file, path)
        try:
            file.truncate(0)
            yield partial
            flush(file)
            let_rename(file)
            partial.replace(path)
        except BaseException:
            let_rename(file)
            partial.unlink(missing_ok=True)
            raise
    flush_folder(path.parent)
