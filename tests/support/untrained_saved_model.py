"""A SavedModel with the graph of a release and small, untrained networks."""

from pathlib import Path

import numpy as np

from emotion_ai.faces.labels import LABEL_SETS


def write_face_model(path: Path) -> Path:
    """Export the model to a new folder; returns the folder."""
    import tensorflow as tf

    from emotion_ai.export.face_model import FaceModel
    from emotion_ai.networks.architectures import expression_network, keypoint_network
    from emotion_ai.networks.settings import TrainingSettings

    settings = TrainingSettings(widths=(4, 4))
    keypoints = keypoint_network(settings, 96, 120.0, 60.0)
    expression = expression_network(settings, 48, 120.0, 60.0, 7)
    random = np.random.default_rng(1)
    for weight in (*keypoints.weights, *expression.weights):
        # Weights of zero would hide that they were not restored.
        weight.assign(np.abs(random.normal(0.1, 0.1, weight.shape)))
    model = FaceModel(keypoints, expression, LABEL_SETS["fer7"])
    signatures = {"serving_default": model.serving_default, "encoded": model.encoded}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path
