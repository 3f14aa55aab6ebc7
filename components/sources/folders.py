"""Labels from folder names: SPLIT/EMOTION/FILE, or EMOTION/FILE in a source without splits.

The case of folder names is ignored. Hidden files and folders (`.name`) and those that file managers
add (`__MACOSX`, `Thumbs.db`, `desktop.ini`) are skipped, and so are files whose suffix is that of
text, tables or programs. Any other file has to be a picture. A picture's data row is its position
in the sorted names.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import UNASSIGNED
from emotion_ai.faces.labels import EMOTION_WORDS, RAF_DB_NUMBERS, EmotionReader, words_like
from emotion_ai.faces.split_words import SPLIT_WORDS

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
# Files that people keep beside pictures, and that nobody takes for one.
_NO_PICTURES = frozenset(
    {
        *(".txt", ".md", ".rst", ".rtf", ".doc", ".docx", ".odt", ".pdf", ".htm", ".html", ".url"),
        *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".jsonl", ".xml", ".yaml", ".yml"),
        *(".py", ".ipynb", ".m", ".r", ".sh", ".bat", ".ps1", ".log", ".ini", ".cfg", ".toml"),
        *(".db", ".sqlite", ".lst", ".list", ".mat", ".npy", ".npz", ".pkl", ".h5", ".parquet"),
        *(".md5", ".sha1", ".sha256", ".sfv", ".lnk", ".zip", ".gz", ".tar", ".rar", ".7z"),
    }
)
_EXPECTED_FOLDERS = (
    "expected a split (train, validation, test or Training, PublicTest, PrivateTest) and in it, or "
    f"without one, an emotion: {', '.join(words[0] for words in EMOTION_WORDS)}"
)
_EXAMPLE = "expected pictures in folders such as train/happy and test/happy"


class FolderLabels(NamedTuple):
    """The labels of a file as its folders have them: its split, "" for none, and its emotion."""

    split_folder: str
    emotion_folder: str

    @property
    def split(self) -> int:
        """The code of the split, UNASSIGNED if the source has none."""
        return SPLIT_WORDS.get(self.split_folder.lower(), UNASSIGNED)

    @property
    def emotion(self) -> str:
        """A word for the emotion, also where the folder is a number of RAF-DB."""
        return RAF_DB_NUMBERS.get(self.emotion_folder, self.emotion_folder)


def is_visible(name: str) -> bool:
    """Return whether neither a file nor a folder above it is hidden or added by a file manager."""
    return not any(part.startswith(".") or part.lower() in _ADDED for part in name.split("/"))


def is_no_picture(name: str) -> bool:
    """Return whether a visible file's suffix says that it is something else than a picture."""
    return PurePosixPath(name).suffix.lower() in _NO_PICTURES


def is_label(folder: str) -> bool:
    """Return whether a folder's name is a split or an emotion."""
    return folder.lower() in SPLIT_WORDS or _is_emotion(folder)


def _is_emotion(folder: str) -> bool:
    return folder in RAF_DB_NUMBERS or bool(words_like(folder))


def parse_folders(name: str) -> FolderLabels | None:
    """Read a file's labels from its folders.

    Args:
        name: The file's path in the source, with slashes.

    Returns:
        The labels, or None if the file is in no emotion's folder.

    Raises:
        ValueError: A folder names neither a split nor an emotion; the message is that folder.
    """
    folders = name.split("/")[:-1]
    split = folders[0] if folders and folders[0].lower() in SPLIT_WORDS else ""
    rest = folders[1:] if split else folders
    if not rest:
        return None
    # Numbers are judged together, in `sort_pictures`.
    is_known = _is_emotion(rest[0]) or rest[0].isdecimal()
    if not is_known or len(rest) > 1:
        depth = 1 + bool(split) + is_known
        raise ValueError("/".join(folders[:depth]))
    return FolderLabels(split, rest[0])


def sort_pictures(source: str, names: Iterable[str]) -> list[str]:
    """Sort the pictures of a source: data rows 0, 1, ...

    Args:
        source: What messages call the source.
        names: The files' paths in the source, with slashes.

    Returns:
        The paths of the visible files that may be pictures, sorted.

    Raises:
        InputError: A folder names neither a split nor an emotion, no file is in an emotion's
            folder, some emotions are inside splits' folders and some are not, emotions are numbers
            other than RAF-DB's, a name is not UTF-8, or there are more than `MAX_FILES` files.
    """
    visible: list[str] = []
    # One file of each split's folder, "" for none.
    split_folders: dict[str, str] = {}
    emotion_folders: set[str] = set()
    for name in names:
        if not is_visible(name) or is_no_picture(name):
            continue
        if len(visible) == MAX_FILES:
            raise InputError(f"{source}: more than {MAX_FILES:,} files, the most that is read")
        try:
            labels = parse_folders(name)
        except ValueError as error:
            raise InputError(f"{source}: folder {error} is unknown; {_EXPECTED_FOLDERS}") from None
        visible.append(name)
        _check_utf8(source, name)
        if labels is not None:
            split_folders.setdefault(labels.split_folder, name)
            emotion_folders.add(labels.emotion_folder)
    if not split_folders:
        raise InputError(f"{source}: no picture in it; {_EXAMPLE}, or name a CSV")
    if "" in split_folders and len(split_folders) > 1:
        example = next(name for folder, name in split_folders.items() if folder)
        raise InputError(
            f"{source}: {split_folders['']} is in no split's folder, {example} is; {_EXAMPLE}, or "
            "folders such as happy alone"
        )
    if any(map(str.isdecimal, emotion_folders)) and emotion_folders != {*RAF_DB_NUMBERS}:
        raise InputError(
            f"{source}: folders {', '.join(sorted(emotion_folders)[:8])}; numbers stand for other "
            "emotions in other data sets, and only RAF-DB's 1 to 7 are read: name the folders "
            "after their emotions"
        )
    return sorted(visible)


def check_emotions(source: str, names: Iterable[str], emotions: EmotionReader) -> None:
    """Check that each emotion's folder is of the label set, or may be left out.

    Args:
        source: What messages call the source.
        names: The files' paths, from `sort_pictures`.
        emotions: The label set.

    Raises:
        InputError: An emotion is not in the label set, and no emotions are selected.
    """
    labels = {label for label in map(parse_folders, names) if label is not None}
    for label in sorted(labels):
        if emotions.code_of(label.emotion) is None:
            raise InputError(
                f"{source}: folder {label.emotion_folder} is an emotion outside the label set "
                f"({', '.join(emotions.names)}); to leave it out, name the emotions to learn "
                f"(--emotions {','.join(emotions.names)})"
            )


def _check_utf8(source: str, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{source}: file name {name!r} is not UTF-8; rename it") from None
