"""Fingerprint a run's two sources, and look up the champion and the weights to start from.

Later steps take the fingerprints as arguments: a changed file under the same name is read again,
and an unchanged one is taken from the cache.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from emotion_ai.registry.runs import write_record
from emotion_ai.registry.settings import RetentionSettings
from emotion_ai.rollouts.local import check_server
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.settings import restore_integers, validate_settings
from emotion_ai.sources.uri import fingerprint
from emotion_ai.steps.resolve.checks import Start, check_settings, check_storages


class Resolved(NamedTuple):
    """What a run starts from.

    Attributes:
        keypoints_fingerprint: SHA-256 of the keypoint source, hexadecimal.
        expression_fingerprint: SHA-256 of the expression source, hexadecimal.
        champion: The champion's version; "" for none.
        start: Initial weights of the trainings: "" for random ones, "pretrained", or the
            champion's URI; "" if there is no champion yet.
        teachers: The teachers' weights, each "pretrained" or a release's URI.
        cache_period: The number of the period in which the cache is used; "" for ever.
    """

    keypoints_fingerprint: str
    expression_fingerprint: str
    champion: str
    start: str
    teachers: list[str]
    cache_period: str


def run(
    keypoints: str,
    expression: str,
    registry: str,
    run_id: str,
    settings: dict[str, Any],
) -> Resolved:
    """Resolve what the run starts from, and write the run record "resolve".

    Args:
        keypoints: Source of the faces with keypoints: a path, gs:// or sample:// URI.
        expression: Source of the faces with emotions.
        registry: A local folder or a gs:// URI.
        run_id: The run's id.
        settings: The other parameters of the training pipeline by name, which are checked and
            recorded; see `check_settings`.

    Returns:
        Fingerprints, champion, initial weights and teachers.

    Raises:
        InputError: A source is missing, a setting is invalid, or a release to start from does not
            fit. Or the release could not be rolled out at the end: there is no cluster, no
            installation in it, or rights are missing.
        VerificationError: The champion was altered.
        Unavailable: A storage, the cluster or the server failed, or a folder cannot be written.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    check_settings(keypoints, expression, settings)
    adopted = _prepare_target(settings, registry, run_id)
    start = check_storages(keypoints, expression, registry, settings)
    keypoints_fingerprint = fingerprint(keypoints)
    same = expression == keypoints
    expression_fingerprint = keypoints_fingerprint if same else fingerprint(expression)
    retention = validate_settings(RetentionSettings, settings.get("retention", {}), "retention")
    resolved = Resolved(
        keypoints_fingerprint=keypoints_fingerprint,
        expression_fingerprint=expression_fingerprint,
        champion="" if start.champion is None else str(start.champion),
        start=start.weights,
        teachers=start.teachers,
        cache_period=_cache_period(retention.cache_days, time.time()),
    )
    for sentence in _without_champion(settings, start):
        print(sentence)
    record = {
        "started": started,
        "keypoints": keypoints,
        "expression": expression,
        **resolved._asdict(),
        "adopted": adopted,
        "settings": restore_integers(settings),
    }
    write_record(registry, run_id, "resolve", record)
    return resolved


def _prepare_target(settings: dict[str, Any], registry: str, run_id: str) -> str:
    """Look at what the step rollout needs hours later, and adopt what a person has put back.

    Returns:
        What was adopted, or why it was not, in one sentence; "" for nothing.
    """
    if settings.get("target", "local") != "kubernetes":
        if "server" in settings:
            check_server(settings["server"])
        return ""
    from emotion_ai.rollouts.cluster.adoption import adopt_undo

    name = "rollout_settings"
    rollout = validate_settings(RolloutSettings, settings.get(name, {}), name)
    adopted = adopt_undo(registry, rollout, run_id)
    if adopted:
        print(adopted)
    return adopted


def _without_champion(settings: dict[str, Any], start: Start) -> Iterator[str]:
    """Say what a setting means while there is no champion."""
    if start.champion is not None:
        return
    if settings.get("init") == "champion":
        yield "init champion: there is none yet; the trainings start from scratch"
    if "champion" in settings.get("teachers", []):
        yield "teachers champion: there is none yet; it teaches nothing"


def _cache_period(days: int, now: float) -> str:
    """Number the periods of so many days: a step with another number is not the same step."""
    return str(int(now // (days * 86_400))) if days else ""
