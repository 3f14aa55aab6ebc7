"""Import OpenCV when it is needed, and keep it from printing to standard error."""

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_ai.errors import InputError, install_hint

# https://docs.opencv.org/5.x/d6/dea/tutorial_env_reference.html; -8 is FFmpeg's quietest level.
_FFMPEG_QUIET = ("OPENCV_FFMPEG_LOGLEVEL", "-8")
_FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


@functools.cache
def load_opencv() -> Any:
    """Import the module `cv2`, with logging switched off.

    Package opencv-python-headless is under Apache-2.0, and its wheels for Linux contain FFmpeg
    under the LGPL. Those of PyAV contain x264 and x265, whose redistribution is under the GPL.

    Returns:
        The module.

    Raises:
        InputError: The package is not installed.
    """
    os.environ.setdefault(*_FFMPEG_QUIET)
    try:
        import cv2
    except ModuleNotFoundError as missing:
        if missing.name != "cv2":
            raise
        raise InputError(
            f"videos and cameras need package opencv-python-headless: {install_hint('video')}"
        ) from None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


@contextlib.contextmanager
def allow_containers(names: str) -> Iterator[None]:
    """Limit FFmpeg to these formats within the block, besides the user's own options.

    Among its other formats are text files shown as pictures, and playlists and scripts that name
    files and addresses to open; see format_whitelist in https://ffmpeg.org/ffmpeg-formats.html.
    """
    before = os.environ.get(_FFMPEG_OPTIONS)
    limit = f"format_whitelist;{names}"
    os.environ[_FFMPEG_OPTIONS] = f"{before}|{limit}" if before else limit
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FFMPEG_OPTIONS]
        else:
            os.environ[_FFMPEG_OPTIONS] = before


@contextlib.contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what the whole process writes to standard error within the block.

    OpenCV prints some messages at every logging level.
    """
    with Path(os.devnull).open("wb") as null:
        saved = os.dup(2)
        try:
            os.dup2(null.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
