"""Fingerprint a run's two sources, and look up the champion and the weights to start from.

Later steps take the fingerprints as arguments: a changed file under the same name is read again,
and an unchanged one is taken from the cache.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.networks.weights import PRETRAINED
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import list_versions, release_uri
from emotion_ai.registry.runs import write_record
from emotion_ai.registry.settings import RetentionSettings
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.rollouts.targets import check_target
from emotion_ai.settings import naming, require_whole, restore_integers, validate_settings
from emotion_ai.sources.uri import check_address, fingerprint


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
        settings: The run's settings, which are recorded. Read are "init" ("scratch", "pretrained"
            or "champion"), "teachers" (a list of the same names or versions), "target" ("local" or
            "kubernetes"), "rollout" (the fields of `RolloutSettings`) and "retention" (those of
            `RetentionSettings`); "seed" and "checkpoints" are checked.

    Returns:
        Fingerprints, champion, initial weights and teachers.

    Raises:
        InputError: A source is missing, an address is none, "init", a teacher or the target is
            unknown, or a setting is invalid. Or the release could not be rolled out at the end:
            there is no cluster, no installation in it, or rights are missing.
        Unavailable: A storage or the cluster failed.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    _check_addresses(keypoints, expression, settings.get("checkpoints", ""))
    require_whole(settings.get("seed", 0), "seed")
    # The step notify keeps them, when it is too late to say what is wrong.
    retention = validate_settings(RetentionSettings, settings.get("retention", {}), "retention")
    adopted = _prepare_target(settings, registry, run_id)
    keypoints_fingerprint = fingerprint(keypoints)
    same = expression == keypoints
    expression_fingerprint = keypoints_fingerprint if same else fingerprint(expression)
    champion = read_champion(registry)
    resolved = Resolved(
        keypoints_fingerprint=keypoints_fingerprint,
        expression_fingerprint=expression_fingerprint,
        champion="" if champion is None else str(champion),
        start=_initial_weights(settings.get("init", "scratch"), registry, champion),
        teachers=_teachers(settings.get("teachers", []), registry, champion),
        cache_period=_cache_period(retention.cache_days, time.time()),
    )
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


def _check_addresses(keypoints: str, expression: str, checkpoints: str) -> None:
    """Check what other steps read, hours later, or in a storage that does not answer at once."""
    for name, source in (("keypoints", keypoints), ("expression", expression)):
        with naming(f"setting {name}"):
            check_address(source)
    if checkpoints:
        with naming("setting checkpoints"):
            storage.check_folder_address(checkpoints)


def _prepare_target(settings: dict[str, Any], registry: str, run_id: str) -> str:
    """Look at what the step rollout needs hours later, and adopt what a person has put back.

    Returns:
        What was adopted, or why it was not, in one sentence; "" for nothing.
    """
    rollout = validate_settings(RolloutSettings, settings.get("rollout", {}), "rollout_settings")
    target = check_target(settings.get("target", "local"))
    if target != "kubernetes":
        return ""
    from emotion_ai.rollouts.cluster.adoption import adopt_undo

    adopted = adopt_undo(registry, rollout, run_id)
    if adopted:
        print(adopted)
    return adopted


def _cache_period(days: int, now: float) -> str:
    """Number the periods of so many days: a step with another number is not the same step."""
    return str(int(now // (days * 86_400))) if days else ""


def _initial_weights(init: str, registry: str, champion: int | None) -> str:
    choices = {"scratch": ""} | _named_weights(registry, champion)
    if init not in choices:
        raise InputError(f"init {init!r}: expected one of {', '.join(choices)}")
    return choices[init]


def _teachers(teachers: Sequence[Any], registry: str, champion: int | None) -> list[str]:
    names = [str(name).strip() for name in restore_integers(teachers)]
    if not names:
        return []
    known = _named_weights(registry, champion)
    versions = list_versions(registry)
    known |= {str(version): release_uri(registry, version) for version in versions}
    for name in names:
        if name not in known:
            raise InputError(
                f"teachers {name!r}: expected pretrained, champion or release numbers of "
                f"{registry} (it has {', '.join(map(str, versions)) or 'none'})"
            )
    # Without duplicates: "champion" and its version are the same release.
    return list(dict.fromkeys(known[name] for name in names if known[name]))


def _named_weights(registry: str, champion: int | None) -> dict[str, str]:
    champion_uri = "" if champion is None else release_uri(registry, champion)
    return {"pretrained": PRETRAINED, "champion": champion_uri}
