"""Train the expression network."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from emotion_ai.faces.arrays import TRAIN
from emotion_ai.networks.artifacts import open_faces, train_to_artifacts
from emotion_ai.networks.objectives import expression_objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext
from emotion_ai.settings import validate_settings


def run(
    faces: str, settings: Mapping[str, Any], context: TrainingContext, outputs: dict[str, str]
) -> dict[str, float]:
    """Train the expression network; a killed training resumes from its checkpoint.

    Args:
        faces: Folder of prepared faces of kind "expression".
        settings: The fields of `TrainingSettings`.
        context: Seed, initial weights, teachers and the folder of the checkpoints.
        outputs: Paths to write: "model" (a folder with the Keras network and its weights),
            "history" (JSON) and "curves" (HTML).

    Returns:
        The numbers that KFP shows of the training, by plain names.

    Raises:
        InputError: A setting, the faces or the initial weights are invalid, or the loss is no
            longer finite.
        Unavailable: An artifact or the checkpoint cannot be written.
    """
    training = validate_settings(TrainingSettings, settings, "training.expression")
    data = open_faces(faces, "expression")
    codes = data.column("targets")[data.positions(TRAIN)]
    counts = np.bincount(codes, minlength=len(data.info.labels))
    objective = expression_objective(counts, training.label_smoothing)
    return train_to_artifacts(objective, data, training, context, outputs)
