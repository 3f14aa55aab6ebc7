"""Which pictures are meant by files and folders, and where their annotated copies go."""

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


class PictureFile(NamedTuple):
    """A picture's path, and its path below the folder that was named."""

    path: Path
    name: Path


def picture_files(paths: Sequence[Path], apart_from: Path | None = None) -> list[PictureFile]:
    """The files among `paths`, and the pictures in its folders and theirs, in order of name.

    In folders a picture is known by its suffix; hidden files and folders, links to folders and
    `apart_from` are passed over. A path that is not there is kept: reading it will say so. Raises
    `InputError` naming a folder without a picture.
    """
    files: list[PictureFile] = []
    for path in paths:
        if not path.is_dir():
            files.append(PictureFile(path, Path(path.name)))
            continue
        below = [PictureFile(file, file.relative_to(path)) for file in _walk(path, apart_from)]
        if not below:
            raise InputError(f"{path}: no picture in this folder; expected {' '.join(SUFFIXES)}")
        files += below
    return files


def _walk(folder: Path, apart_from: Path | None) -> Iterator[Path]:
    avoided = apart_from.resolve() if apart_from else None

    def complain(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None

    for root, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and Path(root, name).resolve() != avoided
        )
        for name in sorted(names):
            file = Path(root, name)
            if not name.startswith(".") and file.suffix.lower() in SUFFIXES and file.is_file():
                yield file


def copy_names(files: Sequence[PictureFile], suffix: str) -> list[Path]:
    """A name for each picture's copy, with this suffix, no two alike."""
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
