"""Predictions in this process, without a server: a `model.tflite`, run by LiteRT."""

import functools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.images import Channels, ImageLike
from emotion_ai.client.requests import (
    DetectedFaces,
    TimedResponse,
    decode_batch,
    decode_faces,
    detect_faces,
    read_batches,
)
from emotion_ai.client.results import Box, Face, ModelResponse, Prediction
from emotion_ai.errors import InputError

if TYPE_CHECKING:
    from emotion_ai.litert.lite_model import LiteModel

# As `emotion-ai serve --pretrained` numbers them.
_PRETRAINED_VERSION = 1
_MAX_COPIES = 8


class Analyzer:
    """Predicts the faces in pictures as a server does, in this process.

    The networks load at the first picture. Safe to call from several threads.

    Args:
        faces: How faces are detected in pictures, as for `Client`.
        registry: A local folder or a gs:// URI of releases; "" for the pretrained networks.
        version: The release, which needs a model.tflite; None for the registry's champion.

    Raises:
        InputError: An argument is invalid, there is no such release, or it has no model.tflite.
        Unavailable: The storage failed.

    Example:
        analyzer = Analyzer()
        for face in analyzer.predict("party.jpg"):
            print(face.emotion, face.box)
    """

    def __init__(
        self,
        faces: str | Detector = "yunet",
        registry: str = "",
        version: int | None = None,
    ) -> None:
        self.detector = open_detector(faces) if isinstance(faces, str) else faces
        self.version = _find_version(registry, version)
        self._registry = registry
        self.address = f"{registry or 'pretrained'} release {self.version}"

    def predict(
        self,
        image: ImageLike,
        channels: Channels = "rgb",
        boxes: Sequence[Box] | None = None,
    ) -> list[Face]:
        """Predict the faces in one picture, as `Client.predict` does.

        Args:
            image: The picture, as for `Client.predict`.
            channels: The order of an array's colours: "bgr" for OpenCV's frames.
            boxes: Faces to predict instead of those that the detector finds.

        Returns:
            The faces, the surest detection first; with `boxes`, in their order.

        Raises:
            InputError: The picture cannot be read.

        Example:
            for face in Analyzer().predict("party.jpg"):
                print(face.emotion, face.probabilities, face.keypoints)
        """
        pictures = [detect_faces(image, self.detector, channels, boxes)]
        return decode_faces(pictures, [self._run(pictures)], self.address)[0]

    def predict_many(
        self, images: Iterable[ImageLike], channels: Channels = "rgb"
    ) -> Iterator[Prediction]:
        """Predict the faces in each of many pictures, as `Client.predict_many` does.

        Args:
            images: The pictures, each as in `predict`.
            channels: The order of an array's colours.

        Yields:
            A prediction for each picture; one that cannot be read has an `error` and no faces.

        Raises:
            InputError: `images` is a single picture.

        Example:
            for prediction in Analyzer().predict_many(["party.jpg", "missing.jpg"]):
                print(prediction.source, prediction.error or len(prediction.faces))
        """
        for batch in read_batches(images, self.detector, channels):
            yield from decode_batch(batch, [self._run(batch.pictures)], self.address)

    def predict_arrays(self, images: NDArray[np.uint8]) -> ModelResponse:
        """Predict from the pixels of faces.

        Args:
            images: uint8 [n, 96, 96, 1], gray.

        Returns:
            The outputs of the model; its keypoints are in pixels of the 96x96 frame.

        Example:
            response = Analyzer().predict_arrays(np.zeros((2, 96, 96, 1), np.uint8))
            print(response.version, response.outputs["emotion"])
        """
        return ModelResponse(self._model.run(images), self.version)

    def _run(self, pictures: Sequence[DetectedFaces]) -> TimedResponse:
        crops = np.concatenate([picture.crops for picture in pictures])
        start = time.perf_counter()
        response = self.predict_arrays(crops)
        return TimedResponse(response, time.perf_counter() - start)

    @functools.cached_property
    def _model(self) -> "LiteModel":
        from emotion_ai.litert.lite_model import LiteModel

        content = _read_model(self._registry, self.version)
        copies = min(os.cpu_count() or 1, _MAX_COPIES)
        return LiteModel(content, copies, batch_sizes=(1,))


def analyze(image: ImageLike, faces: str = "yunet") -> list[Face]:
    """Predict the faces in one picture with the pretrained networks, without a server.

    Args:
        image: The picture, as for `Client.predict`.
        faces: How faces are detected, as for `Client`.

    Returns:
        The faces, the surest detection first; empty where no face is found.

    Raises:
        InputError: The picture cannot be read, or a package is missing.

    Example:
        for face in analyze("party.jpg"):
            print(face.emotion, face.box)
    """
    return _pretrained_analyzer(faces).predict(image)


@functools.cache
def _pretrained_analyzer(faces: str) -> Analyzer:
    return Analyzer(faces)


def _find_version(registry: str, version: int | None) -> int:
    if not registry:
        if version not in (None, _PRETRAINED_VERSION):
            raise InputError(f"release {version}: of which registry? Name it with --registry")
        return _PRETRAINED_VERSION
    from emotion_ai.registry.champion import read_champion
    from emotion_ai.registry.releases import check_exists

    found = read_champion(registry) if version is None else version
    if found is None:
        check_exists(registry)
        raise InputError(
            f"{registry}: is no registry with a champion; name a release of it, or another folder"
        )
    return found


def _read_model(registry: str, version: int) -> bytes:
    if not registry:
        from emotion_ai.litert.pretrained import PRETRAINED

        return PRETRAINED.read_bytes()
    from emotion_ai.registry.copying import read_verified
    from emotion_ai.registry.releases import LITE_PATH

    return read_verified(registry, version, LITE_PATH)
