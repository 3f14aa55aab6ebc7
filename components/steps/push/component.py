"""KFP signature of the step `push`; `run.py` beside it does the work."""

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
    revision: str,
    target: str,
    rollout_settings: dict,
) -> int:
    """Publish the SavedModel as the next release; the champion stays the same.

    Args:
        saved_model: The SavedModel that combine wrote.
        warmup: Golden requests with responses, the release's warm-up requests.
        gate_report: Why the pair was accepted, JSON.
        validation: The validation report as a page.
        keypoint_faces: The faces that the keypoint network was trained on.
        expression_faces: The faces that the expression network was trained on.
        registry: Folder or gs:// URI of the releases.
        run_id: The run's id.
        keep: How many releases stay; the champion, its parent and what a cluster needs always do.
        revision: Revision of the code that combined the SavedModel.
        target: Where the release will be rolled out: local or kubernetes.
        rollout_settings: How it will be rolled out in a cluster.

    Returns:
        The release's version.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.failures import record_failure
    from emotion_ai.registry.reports import record_reports
    from emotion_ai.settings import require_whole
    from emotion_ai.steps.push.run import run

    with exit_on_failure(), record_failure(registry, run_id, "push"):
        record_reports({"validation": validation.path}, registry, run_id)
        version = run(
            saved_model=saved_model.path,
            warmup=warmup.path,
            gate_report=gate_report.path,
            keypoint_faces=keypoint_faces.path,
            expression_faces=expression_faces.path,
            registry=registry,
            run_id=run_id,
            revision=revision,
            keep=require_whole(keep, "keep", at_least=1),
            target=target,
            settings=rollout_settings,
        )
    return int(version)
