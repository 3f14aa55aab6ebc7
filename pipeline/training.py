"""The DAG: from two sources of faces to a release that answers. Read this first.

kfp dsl compile --py pipeline/training.py --output emotion-ai.yaml
"""

from json import dumps
from typing import Any, NamedTuple

from kfp import dsl

from emotion_ai.pipeline.policy import Place, placement
from emotion_ai.pipeline.settings import CompileSettings, RunSettings, environment, run_settings
from emotion_ai.steps.combine.component import combine
from emotion_ai.steps.evaluate.component import evaluate
from emotion_ai.steps.ingest.component import ingest
from emotion_ai.steps.notify.component import notify
from emotion_ai.steps.prepare.component import prepare
from emotion_ai.steps.push.component import push
from emotion_ai.steps.record.component import record
from emotion_ai.steps.reject.component import reject
from emotion_ai.steps.resolve.component import resolve
from emotion_ai.steps.rollout.component import rollout
from emotion_ai.steps.train_expression.component import train_expression
from emotion_ai.steps.train_keypoints.component import train_keypoints
from emotion_ai.steps.validate.component import validate

JOB_ID = dsl.PIPELINE_JOB_ID_PLACEHOLDER


class Prepared(NamedTuple):
    """The tasks that made one half's faces ready."""

    ingested: Any
    prepared: Any


def training_pipeline(compile_settings: CompileSettings, defaults: RunSettings) -> Any:
    """The pipeline placed as `compile_settings` say; its parameters' defaults are `defaults`.

    Nested settings are parameters of JSON text; `emotion_ai.settings` says why.
    """
    place = placement(compile_settings)
    run = defaults.model_dump(mode="json")

    @dsl.pipeline(
        name="emotion-ai-training",
        description="Trains, gates, releases and rolls out facial keypoints and expressions",
    )
    def emotion_ai_training(
        keypoints: str = run["keypoints"],
        expression: str = run["expression"],
        label_set: str = run["label_set"],
        emotions: str = run["emotions"],
        registry: str = run["registry"],
        checkpoints: str = run["checkpoints"],
        run_name: str = "",
        seed: int = run["seed"],
        init: str = run["init"],
        teachers: str = run["teachers"],
        force_accept: str = run["force_accept"],
        checks: str = dumps(run["checks"]),
        keypoint_augmentation: str = dumps(run["augmentation"]["keypoints"]),
        expression_augmentation: str = dumps(run["augmentation"]["expression"]),
        keypoint_training: str = dumps(run["training"]["keypoints"]),
        expression_training: str = dumps(run["training"]["expression"]),
        gate: str = dumps(run["gate"]),
        validation: str = dumps(run["validation"]),
        target: str = run["serving"]["target"],
        server: str = run["serving"]["server"],
        keep: int = run["serving"]["keep"],
    ):
        # Whatever happens below, the run's record is written.
        told = notify(registry=registry, run_name=run_name, job_id=JOB_ID)
        with dsl.ExitHandler(place(told, "notify"), name="training"):
            # What the sources hold and who the champion is, so that later steps are cached by it.
            resolved = place(
                resolve(
                    keypoints=keypoints,
                    expression=expression,
                    registry=registry,
                    run_name=run_name,
                    job_id=JOB_ID,
                    label_set=label_set,
                    emotions=emotions,
                    seed=seed,
                    gate=gate,
                    init=init,
                    teachers=teachers,
                ),
                "resolve sources",
            )
            facts = resolved.outputs
            at = {"registry": registry, "run_id": facts["run_id"]}

            # Each source becomes checked arrays, then splits that no face and no person straddles.
            points = faces_of(
                place,
                "keypoints",
                source=keypoints,
                fingerprint=facts["keypoints_fingerprint"],
                labels=("", ""),
                checks=checks,
                augmentation=keypoint_augmentation,
            )
            moods = faces_of(
                place,
                "expression",
                source=expression,
                fingerprint=facts["expression_fingerprint"],
                labels=(label_set, emotions),
                checks=checks,
                augmentation=expression_augmentation,
            )

            # Two networks; in a cluster they train side by side.
            keypoint_net = place(
                train_keypoints(
                    faces=points.prepared.outputs["prepared"],
                    settings=keypoint_training,
                    seed=seed,
                    start=facts["start"],
                    checkpoints=checkpoints,
                ),
                "train keypoints",
            ).outputs
            expression_net = place(
                train_expression(
                    faces=moods.prepared.outputs["prepared"],
                    settings=expression_training,
                    seed=seed,
                    start=facts["start"],
                    teachers=facts["teachers"],
                    checkpoints=checkpoints,
                ),
                "train expression",
            ).outputs

            # Floors, and the champion scored anew on these faces; a pair stands or falls together.
            judged = place(
                evaluate(
                    keypoint_faces=points.prepared.outputs["prepared"],
                    expression_faces=moods.prepared.outputs["prepared"],
                    keypoint_model=keypoint_net["model"],
                    expression_model=expression_net["model"],
                    registry=registry,
                    champion=facts["champion"],
                    gate=gate,
                    force_accept=force_accept,
                ),
                "evaluate",
            )
            place(
                record(
                    keypoint_data=points.ingested.outputs["report"],
                    expression_data=moods.ingested.outputs["report"],
                    keypoint_preview=points.prepared.outputs["preview"],
                    expression_preview=moods.prepared.outputs["preview"],
                    keypoint_curves=keypoint_net["curves"],
                    expression_curves=expression_net["curves"],
                    evaluation=judged.outputs["report"],
                    gate=judged.outputs["gate_report"],
                    **at,
                ),
                "record reports",
            )

            with dsl.If(judged.outputs["Output"] == True, name="accepted"):  # noqa: E712
                # One SavedModel of both networks, proven in a real server before it is released.
                combined = place(
                    combine(
                        keypoint_model=keypoint_net["model"],
                        expression_model=expression_net["model"],
                        keypoint_faces=points.prepared.outputs["prepared"],
                        expression_faces=moods.prepared.outputs["prepared"],
                    ),
                    "combine",
                ).outputs
                validated = place(
                    validate(
                        saved_model=combined["saved_model"],
                        golden=combined["golden"],
                        limits=validation,
                    ),
                    "validate",
                )
                with dsl.If(validated.outputs["Output"] == True, name="valid"):  # noqa: E712
                    # The release is published; callers notice nothing until it is rolled out.
                    pushed = place(
                        push(
                            saved_model=combined["saved_model"],
                            warmup=validated.outputs["warmup"],
                            gate_report=judged.outputs["gate_report"],
                            validation=validated.outputs["report"],
                            keypoint_faces=points.prepared.outputs["prepared"],
                            expression_faces=moods.prepared.outputs["prepared"],
                            keep=keep,
                            **at,
                        ),
                        "push",
                    )
                    place(
                        rollout(version=pushed.output, server=server, target=target, **at),
                        "roll out",
                    )
                with dsl.Else(name="invalid"):
                    place(reject(report=validated.outputs["verdict"], **at), "reject release")
            with dsl.Else(name="rejected"):
                place(reject(report=judged.outputs["gate_report"], **at), "reject candidate")

    return emotion_ai_training


def faces_of(
    place: Place,
    kind: str,
    source: Any,
    fingerprint: Any,
    labels: tuple[Any, Any],
    checks: Any,
    augmentation: Any,
) -> Prepared:
    """Ingest one source and prepare its faces; `labels` are the label set and the subset of it."""
    ingested = ingest(
        source=source,
        fingerprint=fingerprint,
        kind=kind,
        label_set=labels[0],
        emotions=labels[1],
        checks=checks,
    )
    place(ingested, f"ingest {kind}")
    prepared = prepare(faces=ingested.outputs["faces"], augmentation=augmentation)
    return Prepared(ingested, place(prepared, f"prepare {kind}"))


emotion_ai_training = training_pipeline(environment("cluster").compile, run_settings("cluster"))
