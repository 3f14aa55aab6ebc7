"""The checks of a served model: it loads, answers as it was exported, and answers in time."""

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.registry.settings import ValidationLimits
from emotion_ai.serving_api.golden import Golden

_POLL_SECONDS = 0.2
_WARMUP_CALLS = 3


class Check(NamedTuple):
    """The result of one check; its fields are keys of the verdict's JSON.

    Attributes:
        name: "loads", "answers", "<signature>/<output>" or "latency/p<percentile>_ms".
        value: The measured value; None if there is none.
        limit: The largest allowed value; None if there is none.
        passed: Whether the model passed.
        blocking: Whether a failure rejects the model; otherwise it warns.
        sentence: The result in words.
    """

    name: str
    value: float | None
    limit: float | None
    passed: bool
    blocking: bool
    sentence: str


def load_check(client: Client, version: int, timeout_s: float) -> Check:
    """Wait until the server has loaded a version or failed to, at most `timeout_s` seconds."""
    start = time.monotonic()
    sentence = f"the server has not loaded the model within {timeout_s:g} s"
    while (elapsed := time.monotonic() - start) < timeout_s:
        try:
            statuses = client.version_statuses(version)
        except Unavailable as error:
            sentence = f"the server went away while it loaded the model: {error}"
            break
        state = statuses[0] if statuses else None
        if state and state.state == "AVAILABLE":
            sentence = f"the server loaded the model in {elapsed:.1f} s"
            return Check("loads", elapsed, timeout_s, passed=True, blocking=True, sentence=sentence)
        if state and (state.error or state.state == "END"):
            sentence = f"the server cannot load the model: {state.error or state.state}"
            break
        time.sleep(_POLL_SECONDS)
    return Check("loads", None, timeout_s, passed=False, blocking=True, sentence=sentence)


def failed_request_check(message: str) -> Check:
    """Build the failed check of a model that loads but does not answer a request."""
    sentence = f"the served model does not answer: {message}"
    return Check("answers", None, None, passed=False, blocking=True, sentence=sentence)


def parity_checks(
    signature: str, golden: Golden, outputs: dict[str, NDArray], tolerance: float
) -> list[Check]:
    """Compare a signature's outputs with the golden answers.

    Args:
        signature: The signature's name.
        golden: The golden answers.
        outputs: The server's outputs by name.
        tolerance: Largest allowed difference of a number.

    Returns:
        A check each for keypoints, probabilities and the emotions' names.
    """
    checks = []
    for name in ("keypoints", "emotion_probabilities"):
        value = _largest_difference(getattr(golden, name), outputs.get(name))
        passed = bool(value <= tolerance)
        sentence = (
            f"{signature}: {name} are {'within' if passed else 'not within'} {tolerance:g} of the "
            f"exported model's (largest difference {value:.3g})"
        )
        shown = value if np.isfinite(value) else None
        checks.append(
            Check(f"{signature}/{name}", shown, tolerance, passed, blocking=True, sentence=sentence)
        )
    passed = _has_same_emotions(golden, outputs, tolerance)
    sentence = f"{signature}: emotions are {'named as' if passed else 'not named as'} exported"
    emotion = Check(f"{signature}/emotion", None, None, passed, blocking=True, sentence=sentence)
    return [*checks, emotion]


def latency_checks(
    client: Client, images: NDArray[np.uint8], limits: ValidationLimits
) -> list[Check]:
    """Time requests of one face each, one after another, from this process.

    Args:
        client: A connection to the server.
        images: One face, uint8 [1, 96, 96, 1].
        limits: The number of calls and the budgets.

    Returns:
        A check each for the 50th and 99th percentile, in milliseconds.
    """
    for _ in range(_WARMUP_CALLS):
        client.predict_arrays(images)
    milliseconds = []
    for _ in range(limits.latency_calls):
        start = time.perf_counter()
        client.predict_arrays(images)
        milliseconds.append(1000 * (time.perf_counter() - start))
    budgets = {50: limits.p50_budget_ms, 99: limits.p99_budget_ms}
    checks = []
    for percentile, budget in budgets.items():
        value = float(np.percentile(milliseconds, percentile))
        passed = value <= budget
        sentence = (
            f"{percentile} % of single-face requests took at most {value:.1f} ms, "
            f"{'within' if passed else 'over'} the budget of {budget:g} ms"
        )
        name = f"latency/p{percentile}_ms"
        checks.append(Check(name, value, budget, passed, limits.reject_over_budget, sentence))
    return checks


def _largest_difference(expected: NDArray, output: NDArray | None) -> float:
    if output is None or output.shape != expected.shape:
        return float("nan")
    return float(np.abs(expected - output).max())


def _has_same_emotions(golden: Golden, outputs: dict[str, NDArray], tolerance: float) -> bool:
    labels, emotion = outputs.get("emotion_labels"), outputs.get("emotion")
    if labels is None or emotion is None or labels.shape != golden.emotion_labels.shape:
        return False
    if emotion.shape != golden.emotion.shape:
        return False
    if not np.array_equal(labels.astype(str), golden.emotion_labels.astype(str)):
        return False
    # If two emotions are equally probable within the tolerance, either may be named.
    named = golden.emotion_labels.astype(str) == emotion.astype(str)[:, None]
    probabilities = golden.emotion_probabilities
    near_best = probabilities >= probabilities.max(axis=1, keepdims=True) - tolerance
    return bool((named & near_best).any(axis=1).all())
