"""The command line's words before they are parsed."""

import os
from collections.abc import Sequence
from pathlib import Path

from emotion_ai.errors import InputError


def expand_home(arguments: Sequence[str]) -> list[str]:
    """Expand ~ in options such as --registry=~/models, where shells leave it as it is.

    Example:
        >>> expand_home(["--registry=~/models", "~/a.jpg"])  # doctest: +SKIP
        ['--registry=/home/me/models', '~/a.jpg']
    """
    return [_expand_option(word) if word.startswith("-") else word for word in arguments]


def _expand_option(word: str) -> str:
    name, equals, value = word.partition("=")
    # Unlike Path.expanduser, it leaves a path alone where there is no such home.
    return f"{name}{equals}{os.path.expanduser(value)}"  # noqa: PTH111


def named_path(word: str) -> Path:
    """Return the path that a word names; an empty one would be the current folder.

    Raises:
        InputError: The word is empty, as an unset variable of a shell is.
    """
    if not word:
        raise InputError("'': expected the name of a file or folder, found an empty one")
    return Path(word)
