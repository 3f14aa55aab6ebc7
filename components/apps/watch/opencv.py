"""Import OpenCV when it is needed, open videos with it, and keep it from printing."""

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotion_ai.errors import InputError, install_hint

# https://docs.opencv.org/5.x/d6/dea/tutorial_env_reference.html; -8 is FFmpeg's quietest level.
_FFMPEG_QUIET = ("OPENCV_FFMPEG_LOGLEVEL", "-8")
# OpenCV ends a video after so many packets of sound without a picture between them.
_MANY_PACKETS = ("OPENCV_FFMPEG_READ_ATTEMPTS", "1000000")
_FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# FFmpeg's names: https://ffmpeg.org/ffmpeg-formats.html. Among its other formats are text files
# shown as pictures, and playlists and scripts that name files and addresses to open.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,m4v,h264,hevc,ivf"


def check_name(path: Path) -> None:
    """Raise `InputError` for a path that is not UTF-8, at which OpenCV crashes."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: expected a path in UTF-8") from None


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
    os.environ.setdefault(*_MANY_PACKETS)
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


def open_capture(name: str, limits: Mapping[str, str], properties: Sequence[int] = ()) -> Any:
    """Open a file or an address with FFmpeg.

    Args:
        name: The file's absolute path, or the address.
        limits: Options of FFmpeg, which overrule those in the user's environment.
        properties: OpenCV's properties, each followed by its value.

    Returns:
        A `cv2.VideoCapture`, which is not opened where there is no video.
    """
    cv2 = load_opencv()
    before = os.environ.get(_FFMPEG_OPTIONS)
    options = [before] if before else []
    options += [f"{option};{value}" for option, value in limits.items()]
    os.environ[_FFMPEG_OPTIONS] = "|".join(options)
    try:
        return cv2.VideoCapture(name, cv2.CAP_FFMPEG, list(properties))
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
