"""KFP signature of the step `train-expression`; `run.py` beside it does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def train_expression(
    faces: Input[Dataset],
    settings: dict,
    seed: int,
    start: str,
    teachers: list,
    checkpoints: str,
    model: Output[Model],
    history: Output[Metrics],
    curves: Output[HTML],
):
    """Train the expression network; a killed training resumes from its checkpoint.

    Args:
        faces: Prepared faces.
        settings: Shape of the network, schedule and regularisation.
        seed: Seed of weights, order and augmentation.
        start: Where the initial weights are; "" for random ones.
        teachers: Where the weights of the networks to learn from are, or the bank of answers.
        checkpoints: Folder or gs:// URI of checkpoints; "" keeps them beside the model.
        model: The Keras network and its weights.
        history: The headline numbers; loss and score of every epoch as JSON.
        curves: Learning curves as a page.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.networks.training import TrainingContext
    from emotion_ai.settings import require_whole
    from emotion_ai.steps.train_expression.run import run

    outputs = {"model": model.path, "history": history.path, "curves": curves.path}
    with exit_on_failure():
        context = TrainingContext(require_whole(seed, "seed"), start, checkpoints, tuple(teachers))
        numbers = run(
            faces=faces.path,
            settings=settings,
            context=context,
            outputs=outputs,
        )
    for name, value in numbers.items():
        history.log_metric(name, value)
