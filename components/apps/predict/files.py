"""Find the picture files in folders, and name their annotated copies."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from emotion_ai.errors import InputError

# Of the formats in images.FORMATS.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".avif", ".avifs"),
)
# Photos that are not read; they are listed all the same, so that reading one says what to do.
UNREAD_SUFFIXES = (".heic", ".heif", ".jxl")


class PictureFile(NamedTuple):
    """A picture's path, and its path relative to the folder that was searched."""

    path: Path
    name: Path


def find_pictures(paths: Sequence[Path], exclude: Path | None = None) -> list[PictureFile]:
    """List the files among `paths`, and the pictures in folders and their subfolders.

    In folders, pictures are recognised by their suffix; hidden files and folders and links to
    folders are skipped. A path that does not exist is kept, so that reading it reports the error.

    Args:
        paths: Files and folders.
        exclude: A folder to skip.

    Returns:
        The files, those of a folder sorted by name.

    Raises:
        InputError: A folder has no picture or cannot be read.
    """
    files: list[PictureFile] = []
    for path in paths:
        if not path.is_dir():
            files.append(PictureFile(path, Path(path.name)))
            continue
        found = [PictureFile(file, file.relative_to(path)) for file in _walk(path, exclude)]
        if not found:
            raise InputError(f"{path}: no picture in this folder; expected {' '.join(SUFFIXES)}")
        files += found
    return files


def _walk(folder: Path, exclude: Path | None) -> Iterator[Path]:
    excluded = exclude.resolve() if exclude else None

    def raise_error(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None

    for root, folders, names in os.walk(folder, onerror=raise_error):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and Path(root, name).resolve() != excluded
        )
        for name in sorted(names):
            file = Path(root, name)
            if not name.startswith(".") and _is_photo(file):
                yield file


def _is_photo(file: Path) -> bool:
    return file.suffix.lower() in (*SUFFIXES, *UNREAD_SUFFIXES) and file.is_file()


def copy_names(files: Sequence[PictureFile], suffix: str) -> list[Path]:
    """Choose a name with this suffix for a copy of each picture, no two alike."""
    taken: set[Path] = set()
    names = []
    for file in files:
        name = file.name.with_suffix(suffix)
        number = 1
        while name in taken:
            number += 1
            name = file.name.with_name(f"{file.name.stem}-{number}{suffix}")
        taken.add(name)
        names.append(name)
    return names
