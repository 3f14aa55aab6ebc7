"""Train the keypoint network."""

from collections.abc import Mapping
from typing import Any

from emotion_ai.networks.artifacts import open_faces, train_to_artifacts
from emotion_ai.networks.objectives import keypoint_objective
from emotion_ai.networks.settings import TrainingSettings, check_keypoint_training
from emotion_ai.networks.training import TrainingContext
from emotion_ai.settings import validate_settings


def run(
    faces: str, settings: Mapping[str, Any], context: TrainingContext, outputs: dict[str, str]
) -> dict[str, float]:
    """Train the keypoint network; a killed training resumes from its checkpoint.

    Args:
        faces: Folder of prepared faces of kind "keypoints".
        settings: The fields of `TrainingSettings`; "mixup" and "cutmix" must be 0.
        context: Seed, initial weights and the folder of the checkpoints.
        outputs: Paths to write: "model" (a folder with the Keras network and its weights),
            "history" (JSON) and "curves" (HTML).

    Returns:
        The numbers that KFP shows of the training, by plain names.

    Raises:
        InputError: A setting, the faces or the initial weights are invalid, or the loss is no
            longer finite.
        Unavailable: An artifact or the checkpoint cannot be written.
    """
    training = validate_settings(TrainingSettings, settings, "training.keypoints")
    check_keypoint_training(training, "training.keypoints")
    data = open_faces(faces, "keypoints")
    return train_to_artifacts(keypoint_objective(), data, training, context, outputs)
