"""KFP signature of the step `evaluate`; `run.py` beside it does the work."""

from kfp import dsl
from kfp.dsl import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
)


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def evaluate(
    keypoint_faces: Input[Dataset],
    expression_faces: Input[Dataset],
    keypoint_model: Input[Model],
    expression_model: Input[Model],
    registry: str,
    champion: str,
    gate: dict,
    force_accept: str,
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    gate_report: Output[Artifact],
    verdict: Output[Markdown],
    report: Output[HTML],
) -> bool:
    """Score both models on every split and decide whether the pair is accepted.

    Args:
        keypoint_faces: Prepared faces with keypoints.
        expression_faces: Prepared faces with emotions.
        keypoint_model: The trained keypoint network.
        expression_model: The trained expression network.
        registry: Folder or gs:// URI of the releases.
        champion: The release that serves now, scored again on these faces; "" for none.
        gate: Settings of the gate.
        force_accept: The reason for accepting a pair that the gate rejects; "" to reject it.
        metrics: The headline numbers; every score as JSON.
        confusion: Confusion matrix of the emotions on the test split.
        gate_report: The decision with every check, JSON, for the steps that follow.
        verdict: The decision with every check, for people.
        report: The evaluation as a page.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.evaluate.run import run

    with exit_on_failure():
        result = run(
            keypoint_faces=keypoint_faces.path,
            expression_faces=expression_faces.path,
            keypoint_model=keypoint_model.path,
            expression_model=expression_model.path,
            registry=registry,
            champion=champion,
            gate=gate,
            force_accept=force_accept,
            metrics_path=metrics.path,
            confusion_path=confusion.path,
            gate_report_path=gate_report.path,
            verdict_path=verdict.path,
            report_path=report.path,
        )
    confusion.log_confusion_matrix(result.labels, result.confusion)
    for name, value in result.headlines.items():
        metrics.log_metric(name, value)
    return result.accepted
