"""KFP signature of the step `record`; `emotion_ai.registry.reports` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def record(
    keypoint_data: Input[HTML],
    expression_data: Input[HTML],
    keypoint_preview: Input[HTML],
    expression_preview: Input[HTML],
    keypoint_curves: Input[HTML],
    expression_curves: Input[HTML],
    evaluation: Input[HTML],
    gate: Input[Artifact],
    registry: str,
    run_id: str,
):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.reports import record_run

    reports = {
        "keypoint-data": keypoint_data.path,
        "expression-data": expression_data.path,
        "keypoint-preview": keypoint_preview.path,
        "expression-preview": expression_preview.path,
        "keypoint-curves": keypoint_curves.path,
        "expression-curves": expression_curves.path,
        "evaluation": evaluation.path,
        "gate": gate.path,
    }
    with exit_on_failure():
        record_run(reports, registry, run_id)
