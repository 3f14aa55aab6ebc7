"""Train the keypoint network.

Reads prepared faces of kind `keypoints`; writes a Keras model, its history and learning curves;
resumes from its checkpoint after a kill. Fails when the loss is not finite.
"""

from collections.abc import Mapping
from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.networks.artifacts import open_faces, train_to_artifacts
from emotion_ai.networks.objectives import keypoint_objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext
from emotion_ai.settings import validate_settings


def run(
    faces: str, settings: Mapping[str, Any], context: TrainingContext, outputs: dict[str, str]
) -> None:
    """Train on faces and write `outputs` (model, history, curves); see `train_to_artifacts`."""
    trained = validate_settings(TrainingSettings, settings, "training.keypoints")
    for name in ("mixup", "cutmix"):
        if getattr(trained, name):
            raise InputError(f"training.keypoints.{name}: two faces in one are no face; expected 0")
    data = open_faces(faces, "keypoints")
    train_to_artifacts(keypoint_objective(), data, trained, context, outputs)
