"""Applies the settings of an installation to a task, through KFP's extension for Kubernetes."""

from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cluster_settings import (
    CREDENTIALS_VARIABLE,
    REVISION_VARIABLE,
    ClusterSettings,
    StepPlacement,
)
from emotion_ai.registry.failures import STEP_VARIABLE


def check_environment(settings: ClusterSettings) -> None:
    """Raise `InputError` if a variable of the steps is set elsewhere too; no value is named."""
    # Not in the model: its message would show all variables with their values.
    for name in (REVISION_VARIABLE, STEP_VARIABLE):
        if name in settings.environment:
            raise InputError(
                f"setting compile.cluster.environment.{name}: the pipeline sets it itself; leave "
                "it out"
            )
    if settings.registry_secret and CREDENTIALS_VARIABLE in settings.environment:
        raise InputError(
            f"setting compile.cluster.environment.{CREDENTIALS_VARIABLE}: registry_secret names a "
            "key too; leave one of them out"
        )


def place_task(task: Any, step: str, settings: ClusterSettings) -> None:
    """Apply the settings that are set; nothing is added to the task for the others.

    Args:
        task: A task of the pipeline, changed.
        step: Its step's name, such as "train-expression".
        settings: The settings of the installation.
    """
    own = settings.steps.get(step, StepPlacement())
    for name, value in sorted(settings.environment.items()):
        task.set_env_variable(name, value)
    if own.gpu:
        task.set_accelerator_type(settings.gpu_resource).set_accelerator_limit(own.gpu)
    _place_pod(task, settings, own)


def _place_pod(task: Any, settings: ClusterSettings, own: StepPlacement) -> None:
    from kfp import kubernetes

    if settings.pull_secret:
        kubernetes.set_image_pull_secrets(task, [settings.pull_secret])
    if settings.pull_policy:
        kubernetes.set_image_pull_policy(task, settings.pull_policy)
    if settings.run_as_user:
        # Without the second, a namespace that is `restricted` refuses the pod.
        kubernetes.set_security_context(
            task, run_as_user=settings.run_as_user, run_as_non_root=True
        )
    if timeout_s := own.timeout_s or settings.timeout_s:
        kubernetes.set_timeout(task, timeout_s)
    selector = settings.node_selector if own.node_selector is None else own.node_selector
    for key, value in sorted(selector.items()):
        kubernetes.add_node_selector(task, key, value)
    tolerations = settings.tolerations if own.tolerations is None else own.tolerations
    for toleration in tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump(exclude_none=True))


def give_storage(task: Any, settings: ClusterSettings) -> None:
    """Give a task the registry's volume and key, if they are set."""
    from kfp import kubernetes

    if volume := settings.registry_volume:
        kubernetes.mount_pvc(task, volume.claim, volume.path)
    if secret := settings.registry_secret:
        kubernetes.use_secret_as_volume(task, secret.name, secret.path)
        task.set_env_variable(CREDENTIALS_VARIABLE, f"{secret.path}/{secret.file}")


def give_certificate(task: Any, settings: ClusterSettings) -> None:
    """Give a task the certificate with which it asks servers with TLS, if it is set."""
    from kfp import kubernetes

    if secret := settings.tls_secret:
        kubernetes.use_secret_as_volume(task, secret.name, secret.path)
