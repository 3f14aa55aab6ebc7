"""KFP signature of the step `prepare`; `components.prepare.preparation` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def prepare(
    faces: Input[Dataset],
    augmentation: str,
    prepared: Output[Dataset],
    preview: Output[HTML],
):
    from components.errors import exit_on_failure
    from components.prepare import preparation
    from components.settings import from_json

    with exit_on_failure():
        policy = from_json(augmentation, "augmentation")
        preparation.prepare(faces.path, policy, prepared.path, preview.path)
