"""The DAG: from two sources of faces to a release that answers. Read this first.

kfp dsl compile --py pipeline/training.py --output emotion-ai.yaml
"""

from typing import Any

from kfp import dsl

from emotion_ai.pipeline.cluster_settings import check_registry_volume
from emotion_ai.pipeline.parameters import prepare_compiler, training_parameters
from emotion_ai.pipeline.policy import task_configurer
from emotion_ai.pipeline.preparation import ingest_and_prepare
from emotion_ai.pipeline.revisions import step_revision
from emotion_ai.pipeline.settings import (
    CompileSettings,
    RunSettings,
    load_environment,
    load_run_settings,
)
from emotion_ai.steps.combine.component import combine
from emotion_ai.steps.evaluate.component import evaluate
from emotion_ai.steps.notify.component import notify
from emotion_ai.steps.push.component import push
from emotion_ai.steps.record.component import record
from emotion_ai.steps.reject.component import reject
from emotion_ai.steps.resolve.component import resolve
from emotion_ai.steps.rollout.component import rollout
from emotion_ai.steps.train_expression.component import train_expression
from emotion_ai.steps.train_keypoints.component import train_keypoints
from emotion_ai.steps.validate.component import validate

JOB_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER


def training_pipeline(compile_settings: CompileSettings, defaults: RunSettings) -> Any:
    """Build the pipeline for an environment.

    Args:
        compile_settings: images, resources and retries of the tasks.
        defaults: of the pipeline's parameters.

    Returns:
        The pipeline, as `kfp.dsl.pipeline` makes it.

    Raises:
        InputError: The registry is a folder outside the volume that the steps mount.
    """
    prepare_compiler()
    check_registry_volume(compile_settings.cluster, defaults.registry)
    configure = task_configurer(compile_settings)
    default = training_parameters(defaults)

    @dsl.pipeline(
        name="emotion-ai-training",
        description="Trains, gates, releases and rolls out facial keypoints and expression",
    )
    def emotion_ai_training(
        keypoints: str = default["keypoints"],
        expression: str = default["expression"],
        label_set: str = default["label_set"],
        emotions: str = default["emotions"],
        registry: str = default["registry"],
        checkpoints: str = default["checkpoints"],
        run_name: str = "",
        seed: int = default["seed"],
        init: str = default["init"],
        teachers: list = default["teachers"],
        force_accept: str = default["force_accept"],
        checks: dict = default["checks"],
        keypoint_augmentation: dict = default["keypoint_augmentation"],
        expression_augmentation: dict = default["expression_augmentation"],
        keypoint_training: dict = default["keypoint_training"],
        expression_training: dict = default["expression_training"],
        gate: dict = default["gate"],
        validation: dict = default["validation"],
        target: str = default["target"],
        server: str = default["server"],
        keep: int = default["keep"],
        rollout_settings: dict = default["rollout_settings"],
        retention: dict = default["retention"],
    ) -> None:
        """Train, gate, release and roll out facial keypoints and expression.

        1. Resolve: fingerprint both sources and look up the champion.
        2. Ingest and prepare: each source becomes checked arrays, then honest splits.
        3. Train: a keypoint network and an expression network.
        4. Evaluate: floors, baselines and the champion decide on the pair.
        5. Combine and validate: one SavedModel, proven in a real server.
        6. Push and roll out: a numbered release that answers; or reject, with reasons.
        7. Notify: the run's record and page, however it ended.

        Args:
            keypoints: Faces with keypoints: a CSV or sample://N?seed=S.
            expression: Faces with emotions: a CSV, folders or a zip of pictures, sample://N?seed=S.
            label_set: fer7 (FER-2013's seven emotions) or course5.
            emotions: Emotions to learn, separated by commas; empty for all of the label set.
            registry: Folder or gs:// URI of the releases.
            checkpoints: Folder or gs:// URI where a training that was killed finds its last epoch.
            run_name: Name of the run's folder in the registry; empty for KFP's id of the run.
            seed: Of weights, order and augmentation.
            init: Weights to start from: scratch, pretrained or champion.
            teachers: Releases that the expression network learns from too, such as [1, "champion"],
                or one answer bank.
            force_accept: Why to release a pair that the gate rejects; empty to leave it rejected.
            checks: Shares of bad rows that ingest tolerates.
            keypoint_augmentation: How training changes faces with keypoints.
            expression_augmentation: How training changes faces with emotions.
            keypoint_training: Shape, schedule and regularisation of the keypoint network.
            expression_training: Shape, schedule and regularisation of the expression network.
            gate: Floors, ceilings and tolerances of the gate.
            validation: Tolerance and time budgets of the validation.
            target: Where to roll out: local or kubernetes.
            server: HOST:PORT of the model server that has to answer on target local.
            keep: How many releases the registry keeps.
            rollout_settings: Where and how a release is rolled out in a cluster.
            retention: How many days runs, checkpoints and KFP's cache are kept; 0 is for ever.
        """
        # The run's record is written whatever happens below.
        exit_task = notify(
            registry=registry,
            run_name=run_name,
            job_id=JOB_ID,
            checkpoints=checkpoints,
            retention=retention,
        )
        with dsl.ExitHandler(configure(exit_task, "notify"), name="training"):
            # What the sources hold and who the champion is, so that later steps are cached by it.
            resolve_task = resolve(
                keypoints=keypoints,
                expression=expression,
                registry=registry,
                run_name=run_name,
                job_id=JOB_ID,
                label_set=label_set,
                emotions=emotions,
                seed=seed,
                init=init,
                teachers=teachers,
                force_accept=force_accept,
                checks=checks,
                keypoint_augmentation=keypoint_augmentation,
                expression_augmentation=expression_augmentation,
                keypoint_training=keypoint_training,
                expression_training=expression_training,
                gate=gate,
                validation=validation,
                target=target,
                server=server,
                keep=keep,
                rollout_settings=rollout_settings,
                retention=retention,
                checkpoints=checkpoints,
            )
            configure(resolve_task, "resolve sources")
            resolved = resolve_task.outputs
            run_args = {"registry": registry, "run_id": resolved["run_id"]}

            # Each source becomes checked arrays, then splits that no face and no person straddles.
            keypoint_faces = ingest_and_prepare(
                configure,
                kind="keypoints",
                source=keypoints,
                fingerprint=resolved["keypoints_fingerprint"],
                label_set="",
                emotions="",
                checks=checks,
                cache_period=resolved["cache_period"],
                augmentation=keypoint_augmentation,
            )
            expression_faces = ingest_and_prepare(
                configure,
                kind="expression",
                source=expression,
                fingerprint=resolved["expression_fingerprint"],
                label_set=label_set,
                emotions=emotions,
                checks=checks,
                cache_period=resolved["cache_period"],
                augmentation=expression_augmentation,
            )

            # Two networks; in a cluster they train side by side. None is trained in vain: the other
            # one's faces have been read, too.
            train_keypoints_task = train_keypoints(
                faces=keypoint_faces.faces,
                settings=keypoint_training,
                seed=seed,
                start=resolved["start"],
                checkpoints=checkpoints,
            )
            train_keypoints_task.after(expression_faces.prepare_task)
            configure(train_keypoints_task, "train keypoints")
            train_expression_task = train_expression(
                faces=expression_faces.faces,
                settings=expression_training,
                seed=seed,
                start=resolved["start"],
                teachers=resolved["teachers"],
                checkpoints=checkpoints,
            )
            train_expression_task.after(keypoint_faces.prepare_task)
            configure(train_expression_task, "train expression")

            # Floors, and the champion scored again on these faces; the pair passes or fails as one.
            evaluate_task = evaluate(
                keypoint_faces=keypoint_faces.faces,
                expression_faces=expression_faces.faces,
                keypoint_model=train_keypoints_task.outputs["model"],
                expression_model=train_expression_task.outputs["model"],
                registry=registry,
                champion=resolved["champion"],
                gate=gate,
                force_accept=force_accept,
            )
            configure(evaluate_task, "evaluate")
            record_task = record(
                keypoint_data=keypoint_faces.ingest_task.outputs["report"],
                expression_data=expression_faces.ingest_task.outputs["report"],
                keypoint_preview=keypoint_faces.prepare_task.outputs["preview"],
                expression_preview=expression_faces.prepare_task.outputs["preview"],
                keypoint_curves=train_keypoints_task.outputs["curves"],
                expression_curves=train_expression_task.outputs["curves"],
                evaluation=evaluate_task.outputs["report"],
                gate=evaluate_task.outputs["gate_report"],
                **run_args,
            )
            configure(record_task, "record reports")

            with dsl.If(evaluate_task.outputs["Output"] == True, name="accepted"):  # noqa: E712
                # One SavedModel of both networks, proven in a real server before it is released.
                combine_task = combine(
                    keypoint_model=train_keypoints_task.outputs["model"],
                    expression_model=train_expression_task.outputs["model"],
                    keypoint_faces=keypoint_faces.faces,
                    expression_faces=expression_faces.faces,
                )
                configure(combine_task, "combine")
                validate_task = validate(
                    saved_model=combine_task.outputs["saved_model"],
                    golden=combine_task.outputs["golden"],
                    limits=validation,
                )
                configure(validate_task, "validate")
                with dsl.If(validate_task.outputs["Output"] == True, name="valid"):  # noqa: E712
                    # The release is published; callers notice nothing until it is rolled out.
                    push_task = push(
                        saved_model=combine_task.outputs["saved_model"],
                        warmup=validate_task.outputs["warmup"],
                        gate_report=evaluate_task.outputs["gate_report"],
                        validation=validate_task.outputs["report"],
                        keypoint_faces=keypoint_faces.faces,
                        expression_faces=expression_faces.faces,
                        keep=keep,
                        revision=step_revision("combine"),
                        target=target,
                        rollout_settings=rollout_settings,
                        **run_args,
                    )
                    configure(push_task, "push")
                    rollout_task = rollout(
                        version=push_task.output,
                        server=server,
                        target=target,
                        settings=rollout_settings,
                        registry=registry,
                        run_name=run_name,
                        job_id=JOB_ID,
                        # Another run may have released a newer one meanwhile: that one stays.
                        reason="",
                        may_go_back=False,
                    )
                    configure(rollout_task, "roll out")
                with dsl.Else(name="invalid"):
                    reject_task = reject(report=validate_task.outputs["verdict"], **run_args)
                    configure(reject_task, "reject release")
            with dsl.Else(name="rejected"):
                reject_task = reject(report=evaluate_task.outputs["gate_report"], **run_args)
                configure(reject_task, "reject candidate")

    return emotion_ai_training


# For `kfp dsl compile`, which imports this file by its path. The package's commands build it with
# their own settings; while a module is imported, that takes ten times as long.
if not __name__.startswith("emotion_ai."):
    emotion_ai_training = training_pipeline(
        load_environment("cluster").compile, load_run_settings("cluster")
    )
