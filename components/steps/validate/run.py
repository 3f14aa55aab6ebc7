"""Try the SavedModel in the real server before anything is published.

Reads the SavedModel and its golden answers; writes the verdict, a report with the server's log,
and the golden requests, which become the release's warm-up requests. A model that does not load,
answers otherwise than it was exported or is too slow is a result, not a failure of the step.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import write_champion
from emotion_ai.server.process import running_server
from emotion_ai.serving_api.golden import Golden, golden_requests, prediction_log, read_golden
from emotion_ai.serving_api.warmup import write_warmup
from emotion_ai.settings import validate_settings
from emotion_ai.steps.validate.checks import (
    Check,
    answers_check,
    await_loaded,
    latency_checks,
    parity_checks,
)
from emotion_ai.steps.validate.limits import ValidationLimits
from emotion_ai.steps.validate.report import write_report
from emotion_ai.storage.atomic_files import remove_on_failure

# The temporary registry has one release.
_VERSION = 1
_LOG_TAIL_BYTES = 64 << 10


def run(
    saved_model: str,
    golden: str,
    limits: dict[str, Any],
    warmup_path: str,
    verdict_path: str,
    report_path: str,
) -> bool:
    """Serve the SavedModel, compare its answers with the golden ones; whether it may be pushed.

    `golden` is the .npz that combine writes: images uint8 [n, 96, 96, 1], keypoints float32
    [n, 15, 2], emotion_probabilities float32 [n, k], emotion [n] and emotion_labels [n, k]. The
    warm-up file is empty where the verdict is False. Raises `InputError` for golden answers or
    limits that are not in order, `Unavailable` where no server could be started at all.
    """
    bounds = validate_settings(ValidationLimits, limits, "validation")
    expected = read_golden(golden)
    with tempfile.TemporaryDirectory(prefix="validate-") as scratch:
        log = Path(scratch) / "server.log"
        registry = Path(scratch) / "registry"
        with storage.translate_errors(scratch):
            registry.mkdir()
            (registry / str(_VERSION)).symlink_to(Path(saved_model).absolute())
        write_champion(str(registry), _VERSION)
        with running_server(str(registry), str(log)) as address, Client(address) as client:
            checks, logs = _examine(client, expected, bounds)
        log_tail = _tail(log)
    accepted = all(check.passed for check in checks if check.blocking)
    with remove_on_failure(warmup_path, verdict_path, report_path):
        write_warmup(warmup_path, logs if accepted else [])
        storage.write_bytes(verdict_path, json.dumps(_verdict(accepted, checks), indent=1).encode())
        write_report(report_path, accepted, checks, expected, log_tail)
    return accepted


def _examine(
    client: Client, golden: Golden, limits: ValidationLimits
) -> tuple[list[Check], list[Any]]:
    loaded = await_loaded(client, _VERSION, limits.load_timeout_s)
    if not loaded.passed:
        return [loaded], []
    try:
        requests = golden_requests(golden)
        answers = {name: client.send(request).outputs for name, request in requests.items()}
        parity = [
            check
            for signature, outputs in answers.items()
            for check in parity_checks(signature, golden, outputs, limits.tolerance)
        ]
        latency = latency_checks(client, golden.images[:1], limits)
    except (InputError, Unavailable) as failure:
        return [loaded, answers_check(str(failure))], []
    logs = [prediction_log(requests[name], outputs) for name, outputs in answers.items()]
    return [loaded, *parity, *latency], logs


def _verdict(accepted: bool, checks: list[Check]) -> dict[str, Any]:
    return {
        "outcome": "accepted" if accepted else "rejected",
        "reasons": [check.sentence for check in checks if check.blocking and not check.passed],
        "warnings": [check.sentence for check in checks if not check.blocking and not check.passed],
        "checks": [check._asdict() for check in checks],
    }


def _tail(log: Path) -> str:
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LOG_TAIL_BYTES))
        return file.read(_LOG_TAIL_BYTES).decode(errors="replace")
