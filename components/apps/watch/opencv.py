"""OpenCV, which reads and writes videos: loaded late, and kept from talking on standard error."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

from emotion_ai.errors import InputError

# https://docs.opencv.org/5.x/d6/dea/tutorial_env_reference.html; FFmpeg's own quietest is -8.
_FFMPEG_QUIET = ("OPENCV_FFMPEG_LOGLEVEL", "-8")
_FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


@functools.cache
def opencv() -> Any:
    """The module `cv2`; raises `InputError` where it is not installed.

    Package opencv-python-headless: Apache-2.0, and its wheels for Linux bring FFmpeg under the
    LGPL. PyAV's bring x264 and x265, so that whoever passes them on is bound by the GPL.
    """
    os.environ.setdefault(*_FFMPEG_QUIET)
    try:
        import cv2
    except ModuleNotFoundError as missing:
        if missing.name != "cv2":
            raise
        raise InputError(
            "videos and cameras need package opencv-python-headless: pip install "
            "'emotion-ai[video]'"
        ) from None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


@contextlib.contextmanager
def containers(names: str) -> Iterator[None]:
    """Within the block FFmpeg opens these of its formats alone, besides what the user told it.

    https://ffmpeg.org/ffmpeg-formats.html, format_whitelist: among the others are texts that it
    shows as pictures, playlists and scripts that name files and addresses to open.
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
def silence() -> Iterator[None]:
    """Nothing that the process writes to standard error within the block is seen.

    For what OpenCV prints whatever its level of logging is. Of the whole process, so keep it short.
    """
    with open(os.devnull, "wb") as nowhere:
        kept = os.dup(2)
        try:
            os.dup2(nowhere.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
