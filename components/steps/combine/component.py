"""KFP signature of the step `combine`; `run.py` beside it does the work."""

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
    """Combine both networks into one SavedModel with two signatures.

    Args:
        keypoint_model: The trained keypoint network.
        expression_model: The trained expression network.
        keypoint_faces: Prepared faces with keypoints, to measure what the 8-bit model.tflite costs.
        expression_faces: Prepared faces with emotions, for the same purpose.
        saved_model: The SavedModel, with model.tflite and content.json in it.
        golden: Synthetic faces and the SavedModel's answers to them, .npz.
    """
    import os

    # The networks may have been trained on JAX or PyTorch; a SavedModel is TensorFlow's.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.combine.run import run

    with exit_on_failure():
        run(
            keypoint_model=keypoint_model.path,
            expression_model=expression_model.path,
            faces={"keypoints": keypoint_faces.path, "expression": expression_faces.path},
            saved_model=saved_model.path,
            golden=golden.path,
        )
