"""KFP signature of the step `combine`; `emotion_ai.export.saved_model` does the work."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def combine(
    keypoint_model: Input[Model],
    expression_model: Input[Model],
    keypoint_faces: Input[Dataset],
    expression_faces: Input[Dataset],
    saved_model: Output[Model],
    golden: Output[Artifact],
):
    import os

    # The networks may have been trained on JAX or PyTorch; a SavedModel is TensorFlow's.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.export.saved_model import export_pair

    with exit_on_failure():
        export_pair(
            keypoint_model.path,
            expression_model.path,
            {"keypoints": keypoint_faces.path, "expression": expression_faces.path},
            saved_model.path,
            golden.path,
        )
