"""The step resolve as KFP runs it, with every parameter of the training pipeline."""

from typing import Any

from emotion_ai.pipeline.parameters import training_parameters
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.steps.resolve.component import resolve

from support.fake_prediction_server import fake_prediction_server

SAMPLE = "sample://20?seed=1"


def run_resolve(registry: str, job_id: str = "job-1", **changes: Any) -> str:
    """Run the step in a run "nightly" with a server that answers; returns the run's id.

    Args:
        registry: A local folder or a gs:// URI.
        job_id: KFP's id of the run.
        changes: Parameters that are not the defaults.
    """
    parameters = training_parameters(RunSettings()) | {"keypoints": SAMPLE, "expression": SAMPLE}
    run = {"registry": registry, "run_name": "nightly", "job_id": job_id}
    with fake_prediction_server() as server:
        values = parameters | run | {"server": server.address} | changes
        return str(resolve.python_func(**values)[0])
