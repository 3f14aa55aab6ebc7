"""KFP signature of the step `prepare`; `run.py` beside it does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def prepare(
    faces: Input[Dataset],
    augmentation: dict,
    prepared: Output[Dataset],
    preview: Output[HTML],
):
    """Split the faces, measure the train split and record how training augments it.

    Args:
        faces: The ingested faces.
        augmentation: The augmentation policy.
        prepared: The faces with their splits.
        preview: Augmented examples and the splits as a page.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.prepare.run import run

    with exit_on_failure():
        run(
            faces_path=faces.path,
            augmentation=augmentation,
            prepared_path=prepared.path,
            preview_path=preview.path,
        )
