"""Read the Deployment of the model servers, and build the patches that a rollout makes to it."""

from dataclasses import dataclass
from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Object
from emotion_ai.rollouts.cluster.names import (
    CHANGE_CAUSE_ANNOTATION,
    DIGEST_ANNOTATION,
    HOLDER_ANNOTATION,
    INIT_CONTAINER,
    REGISTRY_VARIABLE,
    RELEASE_LABEL,
    RELEASE_VARIABLE,
    SERVER_CONTAINER,
)

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Deployment:
    """What a rollout needs to know of the Deployment.

    Attributes:
        name: Its name.
        version: Its resourceVersion when it was read.
        release: The release of its pod template; None before the first rollout.
        digest: The content digest of that release; "" if a person set the release.
        registry: The registry that its pods fetch releases from.
        progress: What it waits for, in a phrase; "" where every pod runs the current template, is
            available, and none is left of older templates.
        replicas: How many pods it wants.
        revision: The revision's number in `kubectl rollout history`.
        failure: Why its progress deadline passed; "" if it did not.
        uid: Its uid.
        template: Its pod template.
        is_paused: Whether its controller leaves its pods alone; `kubectl rollout pause`.
    """

    name: str
    version: str
    release: int | None
    digest: str
    registry: str
    progress: str
    replicas: int
    revision: str
    failure: str
    uid: str
    template: Object
    is_paused: bool

    @property
    def is_complete(self) -> bool:
        """Whether it waits for nothing."""
        return not self.progress


def read_deployment(body: Object) -> Deployment:
    """Read the API's JSON form of the Deployment.

    Raises:
        InputError: It is not made from k8s/base: a container is missing, or RELEASE is no number.
    """
    metadata, spec = body["metadata"], body["spec"]
    template = spec["template"]
    name = metadata["name"]
    variables = _init_variables(name, template)
    return Deployment(
        name=name,
        version=metadata["resourceVersion"],
        release=read_release_number(name, variables.get(RELEASE_VARIABLE, "")),
        digest=(template["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION, ""),
        registry=variables.get(REGISTRY_VARIABLE, ""),
        progress=_progress(body),
        replicas=spec.get("replicas", 1),
        revision=(metadata.get("annotations") or {}).get(REVISION_ANNOTATION, ""),
        failure=_progress_failure(body),
        uid=metadata["uid"],
        template=template,
        is_paused=bool(spec.get("paused")),
    )


def template_release(template: Object) -> int | None:
    """Return the release of a pod template, such as a ReplicaSet's; None if it names none."""
    try:
        variables = _init_variables("", template)
        return read_release_number("", variables.get(RELEASE_VARIABLE, ""))
    except InputError:
        return None


def read_release_number(name: str, text: str) -> int | None:
    """Parse the variable RELEASE; "" is no release."""
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 10**18:
        raise InputError(
            f"deployment {name}: {RELEASE_VARIABLE} is {text!r} in its container "
            f"{INIT_CONTAINER}; expected a release's number"
        )
    return int(text)


def _init_variables(name: str, template: Object) -> dict[str, str]:
    pod = template["spec"]
    servers = [c for c in pod["containers"] if c["name"] == SERVER_CONTAINER]
    fetchers = [c for c in pod.get("initContainers") or [] if c["name"] == INIT_CONTAINER]
    if not servers or not fetchers:
        missing = SERVER_CONTAINER if fetchers else INIT_CONTAINER
        raise InputError(
            f"deployment {name}: has no container {missing}; expected a Deployment made from "
            "k8s/base"
        )
    return {v["name"]: v.get("value", "") for v in fetchers[0].get("env") or []}


def _progress(body: Object) -> str:
    """Say what the Deployment waits for, by the rules of `kubectl rollout status`; "" if nothing.

    They are in kubectl/pkg/polymorphichelpers/rollout_status.go.
    """
    status, spec = body.get("status") or {}, body["spec"]
    replicas, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    if status.get("observedGeneration", 0) < body["metadata"].get("generation", 0):
        return "Kubernetes has not begun with the change yet"
    if updated < replicas:
        return f"{updated} of {replicas} pods have the new template"
    if status.get("replicas", 0) > updated:
        old = status["replicas"] - updated
        words = "pod of the old template is" if old == 1 else "pods of the old template are"
        return f"{old} {words} left"
    if status.get("availableReplicas", 0) < updated:
        return f"{status.get('availableReplicas', 0)} of {updated} pods are available"
    return ""


def _progress_failure(body: Object) -> str:
    if (body.get("status") or {}).get("observedGeneration", 0) < body["metadata"].get(
        "generation", 0
    ):
        # The condition is of an earlier template.
        return ""
    for condition in (body.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Progressing" and condition.get("reason") == (
            "ProgressDeadlineExceeded"
        ):
            return str(condition.get("message") or condition["reason"])
    return ""


def holder_patch(deployment: Deployment, holder: str) -> Object:
    """Build the patch that outdates what earlier holders of the lease have read."""
    return {"metadata": _metadata(deployment, {HOLDER_ANNOTATION: holder})}


def release_patch(
    deployment: Deployment, *, release: int | None, digest: str, cause: str, holder: str
) -> Object:
    """Build the patch that moves a Deployment to a release, forward or back.

    Args:
        deployment: As it was read; the patch applies to nothing else.
        release: The release; None takes it out, as before the first rollout.
        digest: The content digest of the release.
        cause: What `kubectl rollout history` says.
        holder: The holder of the lease.

    Returns:
        A strategic merge patch.
    """
    text = None if release is None else str(release)
    variable: dict[str, Any] = {"name": RELEASE_VARIABLE, "value": text}
    if release is None:
        variable = {"name": RELEASE_VARIABLE, "$patch": "delete"}
    annotations = {HOLDER_ANNOTATION: holder, CHANGE_CAUSE_ANNOTATION: cause}
    return {
        "metadata": _metadata(deployment, annotations),
        "spec": {
            "template": {
                "metadata": {
                    "labels": {RELEASE_LABEL: text},
                    "annotations": {DIGEST_ANNOTATION: digest or None},
                },
                "spec": {"initContainers": [{"name": INIT_CONTAINER, "env": [variable]}]},
            }
        },
    }


def _metadata(deployment: Deployment, annotations: dict[str, str]) -> Object:
    return {"resourceVersion": deployment.version, "annotations": annotations}
