"""Try the SavedModel in a real model server before it is published."""

import json
import tempfile
from pathlib import Path
from typing import Any

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.settings import ValidationLimits
from emotion_ai.server.process import server_process
from emotion_ai.serving_api.golden import Golden, golden_requests, prediction_log, read_golden
from emotion_ai.serving_api.warmup import write_warmup
from emotion_ai.settings import validate_settings
from emotion_ai.steps.validate.checks import (
    Check,
    failed_request_check,
    latency_checks,
    load_check,
    parity_checks,
)
from emotion_ai.steps.validate.report import write_report
from emotion_ai.storage.atomic_files import remove_on_failure

# The temporary registry has one release.
_VERSION = 1
_MAX_LOG_BYTES = 64 << 10


def run(
    saved_model: str,
    golden: str,
    limits: dict[str, Any],
    warmup_path: str,
    verdict_path: str,
    report_path: str,
) -> bool:
    """Serve the SavedModel and compare its answers with the golden ones.

    A model that does not load, answers differently or is too slow is a result, not an error.

    Args:
        saved_model: The SavedModel's folder.
        golden: Golden answers, the .npz that combine writes: images uint8 [n, 96, 96, 1],
            keypoints float32 [n, 15, 2], emotion_probabilities float32 [n, k], emotion [n] and
            emotion_labels [n, k].
        limits: The fields of `ValidationLimits`.
        warmup_path: File to write: golden requests with the server's responses, see
            `serving_api.warmup`; empty if the model is rejected.
        verdict_path: JSON file to write: "outcome", "reasons", "warnings" and "checks".
        report_path: HTML page to write, with the server's log.

    Returns:
        Whether the SavedModel may be published.

    Raises:
        InputError: The golden answers or the limits are invalid.
        Unavailable: No server could be started, or an output cannot be written.
    """
    validation_limits = validate_settings(ValidationLimits, limits, "validation")
    golden_answers = read_golden(golden)
    with tempfile.TemporaryDirectory(prefix="validate-") as scratch:
        log = Path(scratch) / "server.log"
        registry = Path(scratch) / "registry"
        with storage.translate_errors(scratch):
            registry.mkdir()
            (registry / str(_VERSION)).symlink_to(Path(saved_model).absolute())
        # A candidate becomes a release when it is published.
        flags = ["--registry", str(registry), "--port=0", "--allow_unverified_releases"]
        with server_process(flags, log) as (address, _), Client(address) as client:
            # A server with a champion would open its port after the load, which is checked here.
            write_champion(str(registry), _VERSION)
            checks, logs = _run_checks(client, golden_answers, validation_limits)
        log_tail = _read_tail(log)
    accepted = all(check.passed for check in checks if check.blocking)
    with remove_on_failure(warmup_path, verdict_path, report_path):
        write_warmup(warmup_path, logs if accepted else [])
        storage.write_bytes(verdict_path, json.dumps(_verdict(accepted, checks), indent=1).encode())
        write_report(report_path, accepted, checks, golden_answers, log_tail)
    return accepted


def _run_checks(
    client: Client, golden: Golden, limits: ValidationLimits
) -> tuple[list[Check], list[Any]]:
    """Run every check; also returns the golden requests with the server's responses."""
    load = load_check(client, _VERSION, limits.load_timeout_s)
    if not load.passed:
        return [load], []
    try:
        requests = golden_requests(golden)
        outputs = {name: client.send(request).outputs for name, request in requests.items()}
        parity = [
            check
            for signature in requests
            for check in parity_checks(signature, golden, outputs[signature], limits.tolerance)
        ]
        latency = latency_checks(client, golden.images[:1], limits)
    except (InputError, Unavailable) as error:
        return [load, failed_request_check(str(error))], []
    logs = [prediction_log(requests[name], outputs[name]) for name in requests]
    return [load, *parity, *latency], logs


def _verdict(accepted: bool, checks: list[Check]) -> dict[str, Any]:
    return {
        "outcome": "accepted" if accepted else "rejected",
        "reasons": [check.sentence for check in checks if check.blocking and not check.passed],
        "warnings": [check.sentence for check in checks if not check.blocking and not check.passed],
        "checks": [check._asdict() for check in checks],
    }


def _read_tail(log: Path) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _MAX_LOG_BYTES))
        return file.read(_MAX_LOG_BYTES).decode(errors="replace")
