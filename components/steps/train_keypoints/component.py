"""KFP signature of the step `train-keypoints`; `fitting` beside it does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def train_keypoints(
    faces: Input[Dataset],
    settings: str,
    seed: int,
    start: str,
    checkpoints: str,
    model: Output[Model],
    history: Output[Metrics],
    curves: Output[HTML],
):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.networks.training import TrainingContext
    from emotion_ai.settings import from_json
    from emotion_ai.steps.train_keypoints.run import fit_keypoint_network

    outputs = {"model": model.path, "history": history.path, "curves": curves.path}
    origin = TrainingContext(int(seed), start, checkpoints)
    with exit_on_failure():
        fit_keypoint_network(faces.path, from_json(settings, "training"), origin, outputs)
