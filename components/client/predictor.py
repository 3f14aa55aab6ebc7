"""What predicts faces in pictures, here or on a server."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from emotion_ai.client.detectors import Detector
from emotion_ai.client.images import Channels, ImageLike
from emotion_ai.client.requests import Version
from emotion_ai.client.results import Box, Face, Prediction


class Predictor(Protocol):
    """A `Client` of a server, or an `Analyzer` in this process; see there."""

    @property
    def address(self) -> str:
        """Who answers."""

    @property
    def version(self) -> Version:
        """The release; None for a server's default."""

    @property
    def detector(self) -> Detector:
        """Finds the faces."""

    def predict(
        self,
        image: ImageLike,
        channels: Channels = "rgb",
        boxes: Sequence[Box] | None = None,
    ) -> list[Face]:
        """Predict the faces in one picture."""

    def predict_many(
        self, images: Iterable[ImageLike], channels: Channels = "rgb"
    ) -> Iterator[Prediction]:
        """Predict the faces in each of many pictures, in the order given."""
