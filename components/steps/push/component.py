"""KFP signature of the step `push`; `emotion_ai.steps.push.run` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Model


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def push(
    saved_model: Input[Model],
    warmup: Input[Artifact],
    gate_report: Input[Artifact],
    validation: Input[HTML],
    keypoint_faces: Input[Dataset],
    expression_faces: Input[Dataset],
    registry: str,
    run_id: str,
    keep: int,
) -> str:
    import os

    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.reports import record_run
    from emotion_ai.steps.push import run as publication

    with exit_on_failure():
        record_run({"validation": validation.path}, registry, run_id)
        return publication.push(
            saved_model.path,
            warmup.path,
            gate_report.path,
            keypoint_faces.path,
            expression_faces.path,
            registry,
            run_id,
            os.environ["EMOTION_AI_REVISION"],
            int(keep),
        )
