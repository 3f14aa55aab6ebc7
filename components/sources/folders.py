"""Picture files by folder: SPLIT/EMOTION/FILE, or EMOTION/FILE where the source has no splits.

Folder names count in any case. Hidden files and folders (`.name`) and those that a Mac adds to a
zip (`__MACOSX`) are left out. A picture's data row is its place among the sorted names.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import TEST, TRAIN, UNASSIGNED, VALIDATION
from emotion_ai.faces.labels import LABEL_SETS

SPLIT_FOLDERS = {
    "train": TRAIN,
    "validation": VALIDATION,
    "test": TEST,
    "training": TRAIN,
    "publictest": VALIDATION,
    "privatetest": TEST,
}
ALL_EMOTIONS = frozenset(name for names in LABEL_SETS.values() for name in names)
MAX_FILES = 2_000_000
_EXAMPLE = "expected pictures in folders such as train/happy and test/happy"


class Place(NamedTuple):
    """Where a file stands: its split's folder as written ("" for none) and its emotion."""

    split_folder: str
    emotion: str

    @property
    def split(self) -> int:
        """Code of the split, UNASSIGNED where the source does not say."""
        return SPLIT_FOLDERS.get(self.split_folder.lower(), UNASSIGNED)


def is_visible(name: str) -> bool:
    """Whether a file counts: neither it nor a folder above it is hidden or a Mac's addition."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def place_of(name: str, emotions: Collection[str]) -> Place | None:
    """The place of a file, None for one in no emotion's folder.

    Raises `ValueError` with the folder that is neither a split's nor one of the emotions'.
    """
    folders = name.split("/")[:-1]
    split = folders[0] if folders and folders[0].lower() in SPLIT_FOLDERS else ""
    rest = folders[1:] if split else folders
    if not rest:
        return None
    emotion = rest[0].lower()
    if emotion not in emotions or len(rest) > 1:
        depth = 1 + bool(split) + (emotion in emotions)
        raise ValueError("/".join(folders[:depth]))
    return Place(split, emotion)


def order_pictures(source: str, names: Iterable[str], emotions: Collection[str]) -> list[str]:
    """The visible files of a source, sorted: data rows 0, 1, ...

    Raises `InputError` naming a folder that is neither a split's nor one of `emotions`', a source
    without a file in an emotion's folder, with emotions both in and beside the splits' folders, or
    of more than `MAX_FILES` files.
    """
    found: list[str] = []
    # For each split's folder, "" for none, one of its files.
    split_folders: dict[str, str] = {}
    for name in filter(is_visible, names):
        if len(found) == MAX_FILES:
            raise InputError(f"{source}: more than {MAX_FILES:,} files, the most that is read")
        try:
            place = place_of(name, emotions)
        except ValueError as error:
            raise InputError(
                f"{source}: folder {error} is unknown; expected a split (train, validation, test "
                "or Training, PublicTest, PrivateTest) and in it, or without one, an emotion: "
                f"{', '.join(sorted(emotions))}"
            ) from None
        found.append(name)
        _check_text(source, name)
        if place is not None:
            split_folders.setdefault(place.split_folder, name)
    if not split_folders:
        raise InputError(f"{source}: no picture in it; {_EXAMPLE}, or name a CSV")
    if "" in split_folders and len(split_folders) > 1:
        example = next(name for folder, name in split_folders.items() if folder)
        raise InputError(
            f"{source}: {split_folders['']} is in no split's folder, {example} is; {_EXAMPLE}, or "
            "folders such as happy alone"
        )
    return sorted(found)


def _check_text(source: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{source}: file name {name!r} is not UTF-8; rename it") from None


def name_splits(names: Iterable[str], emotions: Collection[str]) -> tuple[str, str, str]:
    """What the source calls splits 0, 1, 2, where it has them."""
    called = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}
    for folder in {place.split_folder for name in names if (place := place_of(name, emotions))}:
        if folder:
            called[SPLIT_FOLDERS[folder.lower()]] = folder
    return called[TRAIN], called[VALIDATION], called[TEST]
