"""Labels from folder names: SPLIT/EMOTION/FILE, or EMOTION/FILE in a source without splits.

The case of folder names is ignored. Hidden files and folders (`.name`) and those that file managers
add (`__MACOSX`, `Thumbs.db`, `desktop.ini`) are skipped. A picture's data row is its position in
the sorted names.
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
# What macOS, Windows and network drives add to folders and archives, in lower case.
_ADDED = frozenset(
    {
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
        "$recycle.bin",
        "system volume information",
        "@eadir",
        "#recycle",
        "lost+found",
    }
)
_EXAMPLE = "expected pictures in folders such as train/happy and test/happy"


class FolderLabels(NamedTuple):
    """The labels of a file: its split's folder as written, "" for none, and its emotion."""

    split_folder: str
    emotion: str

    @property
    def split(self) -> int:
        """The code of the split, UNASSIGNED if the source has none."""
        return SPLIT_FOLDERS.get(self.split_folder.lower(), UNASSIGNED)


def is_visible(name: str) -> bool:
    """Return whether neither a file nor a folder above it is hidden or added by a file manager."""
    return not any(part.startswith(".") or part.lower() in _ADDED for part in name.split("/"))


def parse_folders(name: str, emotions: Collection[str]) -> FolderLabels | None:
    """Read a file's labels from its folders.

    Args:
        name: The file's path in the source, with slashes.
        emotions: The known emotions, in lower case.

    Returns:
        The labels, or None if the file is in no emotion's folder.

    Raises:
        ValueError: A folder names neither a split nor an emotion; the message is that folder.
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
    return FolderLabels(split, emotion)


def sort_pictures(source: str, names: Iterable[str], emotions: Collection[str]) -> list[str]:
    """Sort the visible files of a source: data rows 0, 1, ...

    Args:
        source: What messages call the source.
        names: The files' paths in the source, with slashes.
        emotions: The known emotions, in lower case.

    Returns:
        The visible files' paths, sorted.

    Raises:
        InputError: A folder names neither a split nor an emotion, no file is in an emotion's
            folder, some emotions are inside splits' folders and some are not, a name is not
            UTF-8, or there are more than `MAX_FILES` files.
    """
    visible: list[str] = []
    # One file of each split's folder, "" for none.
    split_folders: dict[str, str] = {}
    for name in filter(is_visible, names):
        if len(visible) == MAX_FILES:
            raise InputError(f"{source}: more than {MAX_FILES:,} files, the most that is read")
        try:
            labels = parse_folders(name, emotions)
        except ValueError as error:
            raise InputError(
                f"{source}: folder {error} is unknown; expected a split (train, validation, test "
                "or Training, PublicTest, PrivateTest) and in it, or without one, an emotion: "
                f"{', '.join(sorted(emotions))}"
            ) from None
        visible.append(name)
        _check_utf8(source, name)
        if labels is not None:
            split_folders.setdefault(labels.split_folder, name)
    if not split_folders:
        raise InputError(f"{source}: no picture in it; {_EXAMPLE}, or name a CSV")
    if "" in split_folders and len(split_folders) > 1:
        example = next(name for folder, name in split_folders.items() if folder)
        raise InputError(
            f"{source}: {split_folders['']} is in no split's folder, {example} is; {_EXAMPLE}, or "
            "folders such as happy alone"
        )
    return sorted(visible)


def _check_utf8(source: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{source}: file name {name!r} is not UTF-8; rename it") from None


def name_splits(names: Iterable[str], emotions: Collection[str]) -> tuple[str, str, str]:
    """Return the source's names for its splits, "train", "validation" and "test" by default."""
    split_names = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}
    labels = (parse_folders(name, emotions) for name in names)
    for folder in {label.split_folder for label in labels if label}:
        if folder:
            split_names[SPLIT_FOLDERS[folder.lower()]] = folder
    return split_names[TRAIN], split_names[VALIDATION], split_names[TEST]
