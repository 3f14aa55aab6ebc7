"""KFP signature of the step `evaluate`; `emotion_ai.steps.evaluate.run` does the work."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def evaluate(
    keypoint_faces: Input[Dataset],
    expression_faces: Input[Dataset],
    keypoint_model: Input[Model],
    expression_model: Input[Model],
    registry: str,
    champion: str,
    gate: str,
    force_accept: str,
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    gate_report: Output[Artifact],
    report: Output[HTML],
) -> bool:
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.settings import from_json
    from emotion_ai.steps.evaluate import run as evaluation

    with exit_on_failure():
        result = evaluation.evaluate(
            keypoint_faces.path,
            expression_faces.path,
            keypoint_model.path,
            expression_model.path,
            registry,
            champion,
            from_json(gate, "gate"),
            force_accept,
            metrics.path,
            confusion.path,
            gate_report.path,
            report.path,
        )
    confusion.log_confusion_matrix(result.labels, result.confusion)
    return result.accepted
