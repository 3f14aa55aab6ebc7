"""KFP signature of the step `reject`; `emotion_ai.steps.reject.run` does the work."""

from kfp import dsl
from kfp.dsl import Artifact, Input


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def reject(report: Input[Artifact], registry: str, run_id: str):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.reject import run as rejection

    with exit_on_failure():
        rejection.reject(report.path, registry, run_id)
