"""KFP signature of the step `resolve`; `emotion_ai.steps.resolve.run` does the work."""

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
    gate: str,
    init: str,
    teachers: str,
) -> NamedTuple(  # type: ignore[valid-type]
    "Resolved",
    [
        ("run_id", str),
        ("keypoints_fingerprint", str),
        ("expression_fingerprint", str),
        ("champion", str),
        ("start", str),
        ("teachers", str),
    ],
):
    from emotion_ai.errors import exit_on_failure
    from emotion_ai.steps.resolve.run import resolve_sources

    run_id = run_name or job_id
    settings = {
        "label_set": label_set,
        "emotions": emotions,
        "seed": seed,
        "gate": gate,
        "init": init,
        "teachers": teachers,
    }
    with exit_on_failure():
        resolved = resolve_sources(keypoints, expression, registry, run_id, settings)
    return (run_id, *resolved)
