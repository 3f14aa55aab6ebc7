"""What the champion answers to today's test splits."""

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
class ChampionAnswers:
    """Keypoints [n, 15, 2] and probabilities [m, k] in the candidate's order of emotions.

    `probabilities` is None where the champion knows other emotions than the candidate.
    """

    version: int
    emotions: tuple[str, ...]
    keypoints: NDArray
    probabilities: NDArray | None


def ask_champion(
    registry: str, champion: str, keypoint_faces: Faces, expression_faces: Faces
) -> ChampionAnswers | None:
    """Run the release named `champion` over both test splits; None where there is no champion.

    Raises `InputError` where that release is absent, altered or not named by a number,
    `Unavailable` where the registry does not answer: a candidate is never waved through for want of
    its rival.
    """
    if not champion:
        return None
    if not champion.isdecimal():
        raise InputError(f"champion {champion!r}: expected the number of a release in {registry}")
    version = int(champion)
    info = read_release(registry, version)
    verify_release(registry, version)
    from emotion_ai.export.inference import predict_release

    emotions = expression_faces.info.labels
    with _local_release(registry, version, info) as folder:

        def probabilities(images: NDArray) -> NDArray:
            answer = predict_release(folder, images)
            names = list(answer["emotion_labels"][0])
            return answer["emotion_probabilities"][:, [names.index(name) for name in emotions]]

        comparable = set(info.labels) == set(emotions)
        return ChampionAnswers(
            version=version,
            emotions=info.labels,
            keypoints=predict_rows(
                keypoint_faces,
                keypoint_faces.positions(TEST),
                lambda images: predict_release(folder, images)["keypoints"],
            ),
            probabilities=predict_rows(
                expression_faces, expression_faces.positions(TEST), probabilities
            )
            if comparable
            else None,
        )


@contextlib.contextmanager
def _local_release(registry: str, version: int, info: ReleaseInfo) -> Iterator[Path]:
    """The release's folder; one in Cloud Storage is downloaded for as long as it is used."""
    uri = release_uri(registry, version)
    if not storage.is_remote(uri):
        yield storage.local_path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in info.files:
            target = Path(folder, name).resolve()
            if not target.is_relative_to(Path(folder).resolve()):
                raise InputError(f"{uri}: release.json names a file outside the release: {name!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            storage.download(storage.join(uri, name), target)
        yield Path(folder)
