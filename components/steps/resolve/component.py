"""KFP signature of the step `resolve`; `run.py` beside it does the work."""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="emotion-ai/python", install_kfp_package=False)
def resolve(
    keypoints: str,
    expression: str,
    registry: str,
    run_name: str,
    job_id: str,
    label_set: str,
    emotions: str,
    seed: int,
    init: str,
    teachers: list,
    force_accept: str,
    checks: dict,
    keypoint_augmentation: dict,
    expression_augmentation: dict,
    keypoint_training: dict,
    expression_training: dict,
    gate: dict,
    validation: dict,
    target: str,
    server: str,
    keep: int,
    rollout_settings: dict,
    retention: dict,
    checkpoints: str,
) -> NamedTuple(  # type: ignore[valid-type]
    "Resolved",
    [
        ("run_id", str),
        ("keypoints_fingerprint", str),
        ("expression_fingerprint", str),
        ("champion", str),
        ("start", str),
        ("teachers", list),
        ("cache_period", str),
    ],
):
    """Fingerprint both sources and look up the champion; later steps are cached by them.

    All settings are checked and recorded, those of later steps too: none is refused hours later.

    Args:
        keypoints: Source of the faces with keypoints.
        expression: Source of the faces with emotions.
        registry: Folder or gs:// URI of the releases.
        run_name: The run's name; "" to use `job_id`.
        job_id: KFP's id of the run.
        label_set: "fer7" or "course5".
        emotions: Names to learn, separated by commas; "" for all.
        seed: Seed of weights, order and augmentation.
        init: Weights that training starts from: scratch, pretrained or champion.
        teachers: Releases that the expression network learns from: numbers, champion, pretrained;
            or one answer bank.
        force_accept: Why a candidate that the gate rejects is released all the same.
        checks: Settings of ingest.
        keypoint_augmentation: Settings of prepare.
        expression_augmentation: Settings of prepare.
        keypoint_training: Settings of train-keypoints.
        expression_training: Settings of train-expression.
        gate: Settings of evaluate.
        validation: Settings of validate.
        target: Where the release will be rolled out: local or kubernetes.
        server: HOST:PORT of the model server, for target local; it must answer.
        keep: How many releases the registry keeps.
        rollout_settings: How it will be rolled out in a cluster.
        retention: How long what runs have made is kept, and KFP's cache used.
        checkpoints: Folder or gs:// URI of checkpoints; "" keeps them beside the models.

    Returns:
        The run's id, both fingerprints (SHA-256), the champion's version ("" for none), the
        initial weights of the trainings ("" for random ones), the teachers' weights, and the
        number of the period in which the cache is used ("" for ever).
    """
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.registry.failures import record_failure
    from emotion_ai.registry.runs import claim_run
    from emotion_ai.steps.resolve.run import run

    settings = {
        "label_set": label_set,
        "emotions": emotions,
        "seed": seed,
        "init": init,
        "teachers": teachers,
        "force_accept": force_accept,
        "checks": checks,
        "keypoint_augmentation": keypoint_augmentation,
        "expression_augmentation": expression_augmentation,
        "keypoint_training": keypoint_training,
        "expression_training": expression_training,
        "gate": gate,
        "validation": validation,
        "target": target,
        "server": server,
        "keep": keep,
        "rollout_settings": rollout_settings,
        "retention": retention,
        "checkpoints": checkpoints,
    }
    with exit_on_failure():
        run_id = claim_run(registry, run_name, job_id)
        with record_failure(registry, run_id, "resolve sources"):
            resolved = run(
                keypoints=keypoints,
                expression=expression,
                registry=registry,
                run_id=run_id,
                settings=settings,
            )
    return (run_id, *resolved)
