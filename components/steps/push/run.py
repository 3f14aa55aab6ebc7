"""Publish the validated SavedModel as the next release; the champion stays the same."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.digest import CONTENT_PATH, ModelContent, content_digest, file_digest
from emotion_ai.registry.lineage import seen_sources
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
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.settings import validate_settings
from emotion_ai.steps.push.model_card import model_card

KEEP = 10
_MAX_JSON_BYTES = 8 << 20


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
    *,
    target: str = "local",
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Publish a release in `<registry>/<version>/`, and write the run record "push".

    If the newest release has the same content, no new one is published.

    Args:
        saved_model: The SavedModel's folder, with combine's content.json.
        warmup: Golden requests with responses, see `serving_api.warmup`.
        gate_report: The gate's decision, JSON with "outcome": "accepted".
        keypoint_faces: Folder of the faces that the keypoint network was trained on; only its
            faces.json is read.
        expression_faces: The same for the expression network.
        registry: A local folder or a gs:// URI.
        run_id: The run's id.
        revision: Revision of the code that combined the SavedModel.
        keep: How many of the newest releases stay; the champion and its parent always do, and on
            target kubernetes what the cluster names. If it cannot be asked, all stay.
        target: Where the release will be rolled out, "local" or "kubernetes".
        settings: The fields of `RolloutSettings`, for target kubernetes; None for the defaults.

    Returns:
        The release's version.

    Raises:
        InputError: An artifact or a setting is missing or invalid, or the gate rejected the
            candidate.
        Unavailable: The registry cannot be written; nothing incomplete is left there.
    """
    rollout = validate_settings(RolloutSettings, settings or {}, "rollout_settings")
    content = _read_content(saved_model)
    gate = read_json(gate_report)
    draft = ReleaseInfo(
        content_digest=content_digest(content, revision),
        files={},
        parent=read_champion(registry),
        data={
            "keypoints": _read_data_info(keypoint_faces),
            "expression": _read_data_info(expression_faces),
        },
        revision=revision,
        run_id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        label_set=content.label_set,
        labels=content.labels,
        signatures=content.signatures,
        packages=content.packages,
        training=content.training,
        seen=seen_sources(content.training.values()),
        lite=content.lite,
        refusal=content.refusal,
        metrics=gate.get("metrics", {}),
        gate=_gate_decision(gate_report, gate),
    )
    files = _release_files(Path(saved_model), Path(warmup))
    version, is_new = _publish_with_card(registry, files, draft)
    record = {
        "version": version,
        "new": is_new,
        "content_digest": draft.content_digest,
        "removed": _remove_old_releases(registry, keep, target, rollout),
        "gate": gate,
    }
    write_record(registry, run_id, "push", record)
    return str(version)


def _publish_with_card(
    registry: str, files: dict[str, Path], draft: ReleaseInfo
) -> tuple[int, bool]:
    with tempfile.TemporaryDirectory(prefix="push-") as scratch:
        card = Path(scratch) / "model_card.md"
        storage.write_bytes(str(card), model_card(draft).encode())
        published = files | {CARD_PATH: card}
        digests = {name: file_digest(path) for name, path in sorted(published.items())}
        return publish(registry, published, draft.model_copy(update={"files": digests}))


def _read_content(saved_model: str) -> ModelContent:
    path = storage.join(saved_model, CONTENT_PATH)
    try:
        return ModelContent.model_validate_json(storage.read_bytes(path, _MAX_JSON_BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: not the content that combine writes: {error}") from None


def _release_files(saved_model: Path, warmup: Path) -> dict[str, Path]:
    written_by_push = {CONTENT_PATH, INFO_PATH, WARMUP_PATH, CARD_PATH}
    files = {
        path.relative_to(saved_model).as_posix(): path
        for path in sorted(saved_model.rglob("*"))
        if path.is_file()
    }
    kept = {name: path for name, path in files.items() if name not in written_by_push}
    return kept | {WARMUP_PATH: warmup}


def _read_data_info(faces: str) -> DataInfo:
    path = storage.join(faces, "faces.json")
    try:
        info = FacesInfo.model_validate_json(storage.read_bytes(path, _MAX_JSON_BYTES))
    except ValidationError as error:
        raise InputError(f"{path}: not a faces artifact: {error}") from None
    return DataInfo(
        source=info.source, fingerprint=info.fingerprint, rows=info.rows, counts=info.counts
    )


def _gate_decision(path: str, gate: dict[str, Any]) -> GateDecision:
    try:
        return GateDecision.model_validate(
            {name: gate[name] for name in GateDecision.model_fields if name in gate}
        )
    except ValidationError as error:
        raise InputError(f"{path}: not an accepting gate report: {error}") from None


def _remove_old_releases(
    registry: str, keep: int, target: str, rollout: RolloutSettings
) -> list[int]:
    # The release is published: what keeps old ones from being removed must not fail the step.
    try:
        needed = _named_in_cluster(target, rollout)
    except Unavailable as error:
        print(error)
        return []
    try:
        return retain(registry, keep, needed)
    except InputError as error:
        print(f"no old release was removed: {error}")
        return []


def _named_in_cluster(target: str, rollout: RolloutSettings) -> set[int]:
    """Return the releases that serve, or that `kubectl rollout undo` offers."""
    if target != "kubernetes":
        return set()
    from emotion_ai.rollouts.cluster.adoption import named_releases

    return named_releases(rollout)
