"""What a run starts from: the content of its two sources and the champion of its registry.

Reads both sources once and the registry's models.config; writes the run's record "resolve". Fails
when a source cannot be read. Later steps take the fingerprints as arguments, so that a file changed
under the same name is trained on and an unchanged one is taken from the cache.
"""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.networks.weights import PRETRAINED
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import list_versions, release_uri
from emotion_ai.registry.runs import write_record
from emotion_ai.sources.uri import fingerprint


class Resolved(NamedTuple):
    """Fingerprints (SHA-256, hexadecimal), the champion's version, "" where there is none.

    `start` is what trainings begin with: "" for random weights, "pretrained", or the champion's
    address; before there is a champion, that is "" too. `teachers` are a JSON list of the same.
    """

    keypoints_fingerprint: str
    expression_fingerprint: str
    champion: str
    start: str
    teachers: str


def run(
    keypoints: str,
    expression: str,
    registry: str,
    run_id: str,
    settings: dict[str, Any],
) -> Resolved:
    """Fingerprint both sources, look up the champion and record what the run started from.

    `settings` are those in force and recorded as they are; "init" and "teachers" among them say
    what trainings start and learn from. Raises `InputError` for a source, a start or a teacher that
    is not there, `Unavailable` where a storage fails.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    keypoints_fingerprint = fingerprint(keypoints)
    same = expression == keypoints
    expression_fingerprint = keypoints_fingerprint if same else fingerprint(expression)
    version = read_champion(registry)
    resolved = Resolved(
        keypoints_fingerprint,
        expression_fingerprint,
        "" if version is None else str(version),
        _start(settings.get("init", "scratch"), registry, version),
        json.dumps(_teachers(settings.get("teachers", ""), registry, version)),
    )
    record = {
        "started": started,
        "keypoints": keypoints,
        "expression": expression,
        **resolved._asdict(),
        "settings": settings,
    }
    write_record(registry, run_id, "resolve", record)
    return resolved


def _start(init: str, registry: str, champion: int | None) -> str:
    starts = {"scratch": ""} | _trained(registry, champion)
    if init not in starts:
        raise InputError(f"init {init!r}: expected one of {', '.join(starts)}")
    return starts[init]


def _teachers(asked: str, registry: str, champion: int | None) -> list[str]:
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if not names:
        return []
    known = _trained(registry, champion)
    known |= {str(version): release_uri(registry, version) for version in list_versions(registry)}
    for name in names:
        if name not in known:
            raise InputError(
                f"teachers {name!r}: expected some of {', '.join(known)} of {registry}"
            )
    # The champion may be asked for by its number too; nobody is a teacher twice.
    return list(dict.fromkeys(known[name] for name in names if known[name]))


def _trained(registry: str, champion: int | None) -> dict[str, str]:
    address = "" if champion is None else release_uri(registry, champion)
    return {"pretrained": PRETRAINED, "champion": address}
