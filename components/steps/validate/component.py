"""KFP signature of the step `validate`; `emotion_ai.steps.validate.run` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Model, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def validate(
    saved_model: Input[Model],
    golden: Input[Artifact],
    limits: str,
    warmup: Output[Artifact],
    verdict: Output[Artifact],
    report: Output[HTML],
) -> bool:
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.settings import from_json
    from emotion_ai.steps.validate import run as validation

    with exit_on_failure():
        return validation.validate(
            saved_model.path,
            golden.path,
            from_json(limits, "validation"),
            warmup.path,
            verdict.path,
            report.path,
        )
