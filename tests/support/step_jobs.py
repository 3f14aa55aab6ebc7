"""A step of the compiled pipeline as a Job in a namespace, as KFP's pods run it there."""

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.settings import CompileSettings, RunSettings

from support.kubectl import answer, read
from support.kubernetes_cluster import wait_for
from support.manifests import Object

# The images' own user, who owns what KFP's volumes hold.
USER = 10001
_CONTAINER = "main"


class Ended(NamedTuple):
    """How a step's container ended.

    Attributes:
        code: Its exit code.
        message: Its termination message; "" for none.
        log: What it printed.
    """

    code: int
    message: str
    log: str


def compiled_executor(step: str) -> Object:
    """Return the image, command, arguments and variables of a step in the training pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.yaml"
        compile_pipeline(CompileSettings(image="localhost/emotion-ai"), RunSettings(), path)
        spec = next(iter(yaml.safe_load_all(path.read_text())))
    container = spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    return dict(container)


def step_job(
    name: str, executor: Object, account: str, claim: str, parameters: dict[str, Any]
) -> Object:
    """Build the Job of a step.

    Args:
        name: The Job's name.
        executor: The step in the compiled pipeline.
        account: The service account.
        claim: The claim of the volume at /registry.
        parameters: What KFP's driver would put in the place of the step's inputs.
    """
    inputs = {"parameterValues": parameters}
    outputs = {"outputFile": "/tmp/outputs/executor_output.json"}
    text = json.dumps({"inputs": inputs, "outputs": outputs})
    container = {
        "name": _CONTAINER,
        "image": executor["image"],
        "command": executor["command"],
        "args": [text if word == "{{$}}" else word for word in executor["args"]],
        "env": executor["env"],
        "volumeMounts": [{"name": "registry", "mountPath": "/registry"}],
        # What KFP and the environment's setting run_as_user give.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod = {
        "serviceAccountName": account,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "registry", "persistentVolumeClaim": {"claimName": claim}}],
    }
    labels = {"pipelines.kubeflow.org/v2_component": "true"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"backoffLimit": 0, "template": template}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": spec,
    }


def run_job(namespace: str, job: Object, seconds: float = 600) -> Ended:
    """Create a Job and wait until its pod has ended."""
    where = f"--namespace={namespace}"
    answer("create", "--filename=-", where, objects=[job])
    selector = f"--selector=batch.kubernetes.io/job-name={job['metadata']['name']}"

    def ended() -> Any:
        pods = read("get", "pods", where, selector)["items"]
        states = [s["state"] for p in pods for s in p["status"].get("containerStatuses", [])]
        return next((state["terminated"] for state in states if "terminated" in state), None)

    state = wait_for(f"the end of {job['metadata']['name']}", ended, seconds)
    log = answer("logs", where, selector, "--tail=-1")
    return Ended(state["exitCode"], state.get("message", ""), log)
