"""Train the expression network.

Reads prepared faces of kind `expressions`; writes a Keras model, its history and learning curves;
resumes from its checkpoint after a kill. Fails when the loss is not finite.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.faces.arrays import TRAIN
from components.networks.architectures import expression_network
from components.networks.artifacts import open_faces, train_to_artifacts
from components.networks.objectives import expression_objective
from components.networks.settings import TrainingSettings
from components.settings import checked


def fit_expression_network(
    faces: str,
    settings: Mapping[str, Any],
    seed: int,
    checkpoints: str,
    outputs: dict[str, str],
) -> None:
    """Train on faces and write `outputs` (model, history, curves); see `train_to_artifacts`."""
    trained = checked(TrainingSettings, settings, "training.expression")
    data = open_faces(faces, "expressions")
    info = data.info
    emotions = len(info.labels)
    codes = data.column("targets")[data.positions(TRAIN)]
    train_to_artifacts(
        lambda: expression_network(trained, info.image_size, info.mean, info.deviation, emotions),
        expression_objective(np.bincount(codes, minlength=emotions), trained.label_smoothing),
        data,
        trained,
        int(seed),
        checkpoints,
        outputs,
    )
