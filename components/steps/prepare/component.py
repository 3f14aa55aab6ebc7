"""KFP signature of the step `prepare`; `emotion_ai.steps.prepare.run` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def prepare(
    faces: Input[Dataset],
    augmentation: str,
    prepared: Output[Dataset],
    preview: Output[HTML],
):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.settings import from_json
    from emotion_ai.steps.prepare import run as preparation

    with exit_on_failure():
        policy = from_json(augmentation, "augmentation")
        preparation.prepare(faces.path, policy, prepared.path, preview.path)
