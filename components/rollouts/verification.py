"""Verify that a server serves a release: send its golden requests and compare the answers."""

import time
from typing import Any, NamedTuple

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable, VerificationError
from emotion_ai.registry.releases import WARMUP_PATH, read_release, release_uri
from emotion_ai.serving_api.golden import SERVER_TOLERANCE, compare_answers
from emotion_ai.serving_api.tensors import read_tensor
from emotion_ai.serving_api.warmup import read_warmup

MAX_CALL_SECONDS = 30.0
POLL_SECONDS = 0.1


class GoldenRequests(NamedTuple):
    """A release's golden requests with their responses.

    Attributes:
        logs: `PredictLog` messages, at least one.
        tolerance: How much a number may differ.
    """

    logs: list[Any]
    tolerance: float


def read_golden_requests(registry: str, version: int) -> GoldenRequests:
    """Read a release's golden requests.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.

    Raises:
        InputError: The release has none, the file is damaged, or its release.json is missing.
        Unavailable: The storage failed.
    """
    uri = storage.join(release_uri(registry, version), WARMUP_PATH)
    logs = [log.predict_log for log in read_warmup(uri) if log.predict_log.response.outputs]
    if not logs:
        raise InputError(f"{uri}: holds no request with its response; publish the release again")
    # Answers from model.tflite may differ by what combine measured on these faces.
    lite = read_release(registry, version).lite
    return GoldenRequests(logs, SERVER_TOLERANCE + float(lite.get("largest_difference", 0.0)))


def verify_server(client: Client, version: int, golden: GoldenRequests, deadline: float) -> float:
    """Wait until the server has loaded a release, and compare its answers with the golden ones.

    Args:
        client: A connection to the server.
        version: The release's version.
        golden: Its golden requests.
        deadline: The `time.monotonic()` at which to give up.

    Returns:
        The largest difference of a number from the golden answers.

    Raises:
        Unavailable: The release is not loaded in time, or callers still get another one.
        VerificationError: An answer differs.
    """
    _wait_until_loaded(client, version, deadline)
    difference = max(
        compare_answer(client, version, log, golden.tolerance, deadline) for log in golden.logs
    )
    _wait_until_default(client, version, golden.logs[0], deadline)
    return difference


def seconds_left(deadline: float) -> float:
    """Return the timeout for the next call: the seconds until the deadline, within bounds."""
    return min(MAX_CALL_SECONDS, max(0.1, deadline - time.monotonic()))


def _wait_until_loaded(client: Client, version: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        for status in client.version_statuses(timeout=seconds_left(deadline)):
            if status.version == version and status.state == "AVAILABLE":
                return
            if status.version == version and status.error:
                raise Unavailable(
                    f"server {client.address}: does not load release {version}: {status.error}"
                )
        time.sleep(POLL_SECONDS)
    raise Unavailable(
        f"server {client.address}: has not loaded release {version} in time; does it serve this "
        "registry?"
    )


def compare_answer(
    client: Client, version: int, log: Any, tolerance: float, deadline: float
) -> float:
    """Send a golden request and compare the answer; return the largest difference.

    Raises:
        Unavailable: The server does not answer.
        VerificationError: The answer differs.
    """
    answer = client.send(log.request, version, timeout=seconds_left(deadline))
    expected = {name: read_tensor(proto) for name, proto in log.response.outputs.items()}
    try:
        return compare_answers(expected, answer.outputs, tolerance)
    except VerificationError as error:
        raise VerificationError(
            f"server {client.address}: answers a golden request with {error}"
        ) from None


def _wait_until_default(client: Client, version: int, log: Any, deadline: float) -> None:
    """Wait until requests that name no version get this one.

    After a rollout to an older release, the newer one answers them until it is unloaded.
    """
    while client.send(log.request, None, timeout=seconds_left(deadline)).version != version:
        if time.monotonic() > deadline:
            raise Unavailable(f"server {client.address}: still answers with another version")
        time.sleep(POLL_SECONDS)
