"""Run the champion's release on the test splits that the candidate is scored on."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import TEST, Faces
from emotion_ai.registry.releases import ReleaseInfo, read_release, release_uri, verify_release
from emotion_ai.steps.evaluate.results import predict_rows


@dataclass(frozen=True)
class ChampionPredictions:
    """The champion's predictions for both test splits.

    Attributes:
        version: The champion's version.
        emotions: The champion's emotions, in its own order.
        keypoints: float32 [n, 15, 2], in pixels of the 96x96 frame.
        probabilities: float32 [m, k] in the candidate's order of emotions; None if the champion's
            emotions are not the candidate's.
    """

    version: int
    emotions: tuple[str, ...]
    keypoints: NDArray
    probabilities: NDArray | None


def predict_with_champion(
    registry: str, champion: str, keypoint_faces: Faces, expression_faces: Faces
) -> ChampionPredictions | None:
    """Run the champion on both test splits.

    Every failure is raised: without its champion a candidate would be accepted too easily.

    Args:
        registry: A local folder or a gs:// URI.
        champion: The champion's version; "" for none.
        keypoint_faces: Prepared faces with keypoints.
        expression_faces: Prepared faces with emotions.

    Returns:
        The predictions; None if there is no champion.

    Raises:
        InputError: `champion` is not a number, or there is no such release.
        VerificationError: A file of the release was altered.
        Unavailable: The registry failed.
    """
    if not champion:
        return None
    if not champion.isdecimal():
        raise InputError(f"champion {champion!r}: expected the number of a release in {registry}")
    version = int(champion)
    info = read_release(registry, version)
    verify_release(registry, version)
    with _local_release(registry, version, info) as folder:
        return ChampionPredictions(
            version=version,
            emotions=info.labels,
            keypoints=_predict_keypoints(folder, keypoint_faces),
            probabilities=_predict_probabilities(folder, expression_faces)
            if set(info.labels) == set(expression_faces.info.labels)
            else None,
        )


def _predict_keypoints(release: Path, faces: Faces) -> NDArray:
    from emotion_ai.export.inference import predict_release

    def predict(images: NDArray) -> NDArray:
        return predict_release(release, images)["keypoints"]

    return predict_rows(faces, faces.positions(TEST), predict)


def _predict_probabilities(release: Path, faces: Faces) -> NDArray:
    """Predict probabilities in the order of the faces' emotions, which the release must share."""
    from emotion_ai.export.inference import predict_release

    def predict(images: NDArray) -> NDArray:
        outputs = predict_release(release, images)
        labels = list(outputs["emotion_labels"][0])
        return outputs["emotion_probabilities"][:, [labels.index(n) for n in faces.info.labels]]

    return predict_rows(faces, faces.positions(TEST), predict)


@contextlib.contextmanager
def _local_release(registry: str, version: int, info: ReleaseInfo) -> Iterator[Path]:
    """Yield the release's folder; from Cloud Storage it is downloaded for the block."""
    uri = release_uri(registry, version)
    if not storage.is_remote(uri):
        yield storage.local_path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in info.files:
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            storage.download(storage.join(uri, name), target)
        yield Path(folder)
