"""The pipeline that rolls out one release, forward or back: one step, when a person asks for it.

kfp dsl compile --py pipeline/rollout.py --output emotion-ai-rollout.yaml
"""

from typing import Any

from kfp import dsl

from emotion_ai.pipeline.cluster_settings import check_registry_volume
from emotion_ai.pipeline.parameters import prepare_compiler, rollout_parameters
from emotion_ai.pipeline.policy import task_configurer
from emotion_ai.pipeline.settings import (
    CompileSettings,
    RunSettings,
    load_environment,
    load_run_settings,
)
from emotion_ai.steps.rollout.component import rollout

JOB_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER


def rollout_pipeline(compile_settings: CompileSettings, defaults: RunSettings) -> Any:
    """Build the pipeline for an environment.

    Args:
        compile_settings: image, resources and placement of the task.
        defaults: of the pipeline's parameters.

    Returns:
        The pipeline, as `kfp.dsl.pipeline` makes it.

    Raises:
        InputError: The registry is a folder outside the volume that the steps mount.
    """
    prepare_compiler()
    check_registry_volume(compile_settings.cluster, defaults.registry)
    configure = task_configurer(compile_settings)
    default = rollout_parameters(defaults)

    @dsl.pipeline(
        name="emotion-ai-rollout",
        description="Rolls out a release of facial keypoints and expression, forward or back",
    )
    def emotion_ai_rollout(
        version: int,
        reason: str,
        registry: str = default["registry"],
        run_name: str = "",
        target: str = default["target"],
        server: str = default["server"],
        rollout_settings: dict = default["rollout_settings"],
    ) -> None:
        """Make a release the champion, and verify that the servers answer with it.

        Args:
            version: Number of the release; it may be older than the one that serves.
            reason: Why; recorded.
            registry: Folder or gs:// URI of the releases.
            run_name: Name of the run's folder in the registry; empty for KFP's id of the run.
            target: Where to roll out: local or kubernetes.
            server: HOST:PORT of the model server that has to answer on target local.
            rollout_settings: Where and how a release is rolled out in a cluster.
        """
        rollout_task = rollout(
            version=version,
            server=server,
            target=target,
            settings=rollout_settings,
            registry=registry,
            run_name=run_name,
            job_id=JOB_ID,
            reason=reason,
            may_go_back=True,
        )
        configure(rollout_task, "roll out")

    return emotion_ai_rollout


# For `kfp dsl compile`, which imports this file by its path. The package's commands build it with
# their own settings; while a module is imported, that takes ten times as long.
if not __name__.startswith("emotion_ai."):
    emotion_ai_rollout = rollout_pipeline(
        load_environment("cluster").compile, load_run_settings("cluster")
    )
