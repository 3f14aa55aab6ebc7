"""Train the expression network.

Reads prepared faces of kind `expression`; writes a Keras model, its history and learning curves;
resumes from its checkpoint after a kill. Fails when the loss is not finite.
"""

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
) -> None:
    """Train on faces and write `outputs` (model, history, curves); see `train_to_artifacts`."""
    trained = validate_settings(TrainingSettings, settings, "training.expression")
    data = open_faces(faces, "expression")
    codes = data.column("targets")[data.positions(TRAIN)]
    counts = np.bincount(codes, minlength=len(data.info.labels))
    objective = expression_objective(counts, trained.label_smoothing)
    train_to_artifacts(objective, data, trained, context, outputs)
