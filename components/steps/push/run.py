"""Publish the validated SavedModel as the next release; its callers notice nothing yet.

Reads the SavedModel with combine's content.json, the warm-up requests, the gate report and both
faces.json; writes `<registry>/<version>/` and the run record "push". Fails where the registry
cannot be written, and leaves nothing half-written there.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.digest import CONTENT_PATH, ModelContent, content_digest, file_digest
from emotion_ai.registry.publishing import publish, retain
from emotion_ai.registry.releases import (
    CARD_PATH,
    INFO_PATH,
    WARMUP_PATH,
    DataInfo,
    GateDecision,
    ReleaseInfo,
)
from emotion_ai.registry.runs import read_json, write_record
from emotion_ai.steps.push.model_card import model_card

KEEP = 10
_MAX_BYTES = 8 << 20


def run(
    saved_model: str,
    warmup: str,
    gate_report: str,
    keypoint_faces: str,
    expression_faces: str,
    registry: str,
    run_id: str,
    revision: str,
    keep: int = KEEP,
) -> str:
    """Publish a release and return its version; the same content again is the release it was.

    Of older releases the newest `keep` stay, and the champion and its parent. Raises `InputError`
    for artifacts that are not in order and `Unavailable` where the registry cannot be written.
    """
    content = _read_content(saved_model)
    gate = read_json(gate_report)
    files = _release_files(Path(saved_model), Path(warmup))
    draft = ReleaseInfo(
        content_digest=content_digest(content, revision),
        files={},
        parent=read_champion(registry),
        data={"keypoints": _read_data(keypoint_faces), "expression": _read_data(expression_faces)},
        revision=revision,
        run_id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        label_set=content.label_set,
        labels=content.labels,
        signatures=content.signatures,
        packages=content.packages,
        training=content.training,
        lite=content.lite,
        metrics=gate.get("metrics", {}),
        gate=_decision(gate_report, gate),
    )
    with tempfile.TemporaryDirectory(prefix="push-") as scratch:
        card = Path(scratch) / "model_card.md"
        storage.write_bytes(str(card), model_card(draft).encode())
        files[CARD_PATH] = card
        digests = {name: file_digest(path) for name, path in sorted(files.items())}
        draft = draft.model_copy(update={"files": digests})
        version, new = publish(registry, files, draft)
    record = {
        "version": version,
        "new": new,
        "content_digest": draft.content_digest,
        "removed": _retain(registry, keep),
        "gate": gate,
    }
    write_record(registry, run_id, "push", record)
    return str(version)


def _read_content(saved_model: str) -> ModelContent:
    path = storage.join(saved_model, CONTENT_PATH)
    try:
        return ModelContent.model_validate_json(storage.read_bytes(path, _MAX_BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: not the content that combine writes: {error}") from None


def _release_files(saved_model: Path, warmup: Path) -> dict[str, Path]:
    made_here = {CONTENT_PATH, INFO_PATH, WARMUP_PATH, CARD_PATH}
    files = {
        path.relative_to(saved_model).as_posix(): path
        for path in sorted(saved_model.rglob("*"))
        if path.is_file()
    }
    kept = {name: path for name, path in files.items() if name not in made_here}
    return kept | {WARMUP_PATH: warmup}


def _read_data(faces: str) -> DataInfo:
    path = storage.join(faces, "faces.json")
    try:
        info = FacesInfo.model_validate_json(storage.read_bytes(path, _MAX_BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: not a faces artifact: {error}") from None
    return DataInfo(
        source=info.source, fingerprint=info.fingerprint, rows=info.rows, counts=info.counts
    )


def _decision(path: str, gate: dict[str, Any]) -> GateDecision:
    try:
        return GateDecision.model_validate(
            {name: gate[name] for name in GateDecision.model_fields if name in gate}
        )
    except ValidationError as error:
        raise InputError(f"{path}: not an accepting gate report: {error}") from None


def _retain(registry: str, keep: int) -> list[int]:
    try:
        return retain(registry, keep)
    except InputError as failure:
        # The release is out; a damaged champion is no reason to hold back its successor.
        print(f"no old release was removed: {failure}")
        return []
