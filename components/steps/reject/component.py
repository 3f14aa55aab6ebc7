"""KFP signature of the step `reject`; `run.py` beside it does the work."""

from kfp import dsl
from kfp.dsl import Artifact, Input


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def reject(report: Input[Artifact], registry: str, run_id: str):
    """Record that a candidate was rejected, and why.

    Args:
        report: A gate report or a validation verdict, JSON.
        registry: Folder or gs:// URI of the releases.
        run_id: The run's id.
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.failures import record_failure
    from emotion_ai.steps.reject.run import run

    with exit_on_failure(), record_failure(registry, run_id, "reject"):
        run(report=report.path, registry=registry, run_id=run_id)
