"""How the steps run in one particular cluster: `compile.cluster` of an environment.

What is not set leaves no trace in the compiled pipeline.
"""

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.pipeline.field_types import (
    FileName,
    FolderPath,
    LabelKey,
    LabelValue,
    ObjectName,
    Seconds,
    StepName,
    VariableName,
)
from emotion_ai.settings import StrictModel

CREDENTIALS_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
REVISION_VARIABLE = "EMOTION_AI_REVISION"


class Toleration(StrictModel):
    """A taint that a step's pod tolerates, as Kubernetes writes it."""

    key: LabelKey | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _check(self) -> "Toleration":
        if self.key is None and self.operator != "Exists":
            raise ValueError("a toleration without a key needs operator: Exists")
        if self.value is not None and self.operator == "Exists":
            raise ValueError("operator Exists takes no value")
        return self


class RegistryVolume(StrictModel):
    """A claim that holds registry, checkpoints and sources, in a cluster without a bucket.

    Attributes:
        claim: The PersistentVolumeClaim; steps on several nodes need ReadWriteMany.
        path: Where it is mounted, such as /registry; `run.registry` is below it.
    """

    claim: ObjectName
    path: FolderPath = "/registry"


class RegistrySecret(StrictModel):
    """The key of an account that may read and write the bucket.

    Attributes:
        name: The Secret.
        file: Its entry, the key as JSON.
        path: Where the Secret is mounted.
    """

    name: ObjectName
    file: FileName = "key.json"
    path: FolderPath = "/var/secrets/registry"


class TlsSecret(StrictModel):
    """The certificate with which a rollout asks servers that ask for TLS.

    Attributes:
        name: The Secret, with ca.crt, tls.crt and tls.key.
        path: Where it is mounted; `run.serving.rollout.tls` names the files in it.
    """

    name: ObjectName
    path: FolderPath = "/var/secrets/tls"


class StepPlacement(StrictModel):
    """What one step has instead of what all steps have."""

    gpu: Annotated[int, Field(ge=0, le=16)] = 0
    node_selector: dict[LabelKey, LabelValue] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    timeout_s: Seconds | None = None


class ClusterSettings(StrictModel):
    """Settings of an installation.

    Attributes:
        environment: Variables of every step, such as a proxy's; anyone who may read the pipeline
            reads them too.
        pull_secret: The Secret with the login of the images' registry.
        pull_policy: When a node pulls an image.
        service_account: What the pods of a run may do. The compiled pipeline cannot carry it:
            `emotion-ai publish` sets it for the runs and schedules that it creates.
        node_selector: Labels that a node must have.
        tolerations: Taints that the pods tolerate.
        run_as_user: The user of the steps' containers, which `restricted` namespaces ask for.
        timeout_s: How long a step may take, each try, from the moment that its pod is on a node.
        gpu_resource: The name of GPUs in this cluster.
        registry_volume: For a registry in a volume.
        registry_secret: For a registry in a bucket, where nothing else gives access to it.
        tls_secret: For a rollout in a cluster whose servers ask for TLS.
        steps: What single steps have instead, by the step's name.
    """

    environment: dict[VariableName, str] = {}
    pull_secret: ObjectName | None = None
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    service_account: ObjectName | None = None
    node_selector: dict[LabelKey, LabelValue] = {}
    tolerations: tuple[Toleration, ...] = ()
    run_as_user: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    timeout_s: Seconds | None = None
    gpu_resource: LabelKey = "nvidia.com/gpu"
    registry_volume: RegistryVolume | None = None
    registry_secret: RegistrySecret | None = None
    tls_secret: TlsSecret | None = None
    steps: dict[StepName, StepPlacement] = {}

    @model_validator(mode="after")
    def _check_mounts(self) -> "ClusterSettings":
        mounts = {
            "registry_volume": self.registry_volume,
            "registry_secret": self.registry_secret,
            "tls_secret": self.tls_secret,
        }
        paths = [(name, mount.path) for name, mount in mounts.items() if mount]
        for (one, first), (other, second) in itertools.combinations(paths, 2):
            if f"{first}/".startswith(f"{second}/") or f"{second}/".startswith(f"{first}/"):
                raise ValueError(
                    f"{one}.path {first} and {other}.path {second} lie within each other; expected "
                    "two folders beside each other"
                )
        return self


def check_registry_volume(settings: ClusterSettings, registry: str) -> None:
    """Check that a registry in a folder is on the volume that the steps mount.

    Raises:
        InputError: It is not: releases would be lost with the step's container.
    """
    volume = settings.registry_volume
    if volume is None or storage.is_remote(registry):
        return
    if not f"{registry.rstrip('/')}/".startswith(f"{volume.path}/"):
        raise InputError(
            f"setting run.registry = {registry!r}: is not below "
            f"compile.cluster.registry_volume.path, {volume.path}; expected a folder on the volume"
        )
