"""KFP signature of the step `record`; `run.py` beside it does the work."""

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
    """Copy the steps' reports into the run's folder; a cached step does not know the run.

    Args:
        keypoint_data: Data report of the keypoint faces.
        expression_data: Data report of the expression faces.
        keypoint_preview: Preview of the prepared keypoint faces.
        expression_preview: Preview of the prepared expression faces.
        keypoint_curves: Learning curves of the keypoint network.
        expression_curves: Learning curves of the expression network.
        evaluation: The evaluation as a page.
        gate: The gate's decision, JSON.
        registry: Folder or gs:// URI of the releases.
        run_id: The run's id.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.failures import record_failure
    from emotion_ai.registry.reports import record_reports

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
    with exit_on_failure(), record_failure(registry, run_id, "record reports"):
        record_reports(reports, registry, run_id)
