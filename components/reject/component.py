"""KFP signature of the step `reject`; `components.reject.rejection` does the work."""

from kfp import dsl
from kfp.dsl import Artifact, Input


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def reject(report: Input[Artifact], registry: str, run_id: str):
    from components.errors import exit_on_failure
    from components.reject import rejection

    with exit_on_failure():
        rejection.reject(report.path, registry, run_id)
