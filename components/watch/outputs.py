"""Files that are written over hours, by libraries that take a name: whole at the end, or absent."""

import contextlib
import fcntl
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from components.errors import BadInput
from components.storage import failures
from components.whole_files import flush, flush_folder


def check_output(path: Path, suffixes: Collection[str]) -> None:
    """Raise `BadInput` where no file of this name can be, or where its suffix is none of these."""
    if path.suffix.lower() not in suffixes:
        raise BadInput(f"{path}: expected a name that ends in {' or '.join(suffixes)}")
    if path.is_dir():
        raise BadInput(f"{path}: this is a folder; name a file for the output")
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.parent}; make it first")


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, of its suffix, that takes its name when the block ends well.

    It is removed when the block raises. Raises `BadInput` while another process writes there, and
    `Unavailable` where the file system does not do its part, in the block too.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with failures(str(path)), partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(
                f"{path}: another process is writing it; wait, or name another file"
            ) from None
        try:
            file.truncate(0)
            yield partial
            flush(file)
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    flush_folder(path.parent)
