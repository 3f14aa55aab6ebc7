"""Read what a server counts of its requests, and what it counted between two readings.

The metrics are TensorFlow Serving's (servables/tensorflow/util.cc), which the embedded server
prints too. `request_latency` is taken of Predict over gRPC alone; `request_count` does not say how
a request came, so TensorFlow Serving's REST requests are among them.
"""

import contextlib
import http.client
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emotion_ai.errors import Unavailable
from emotion_ai.serving_api.messages import MODEL_NAME

METRICS_PATH = "/monitoring/prometheus/metrics"
MAX_PAGE_BYTES = 16 << 20
MAX_SECONDS = 5.0

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency_bucket"
# The embedded server counts a request that no loaded version answers under no model at all.
_MODELS = frozenset({MODEL_NAME, ""})


@dataclass(frozen=True)
class Counts:
    """Requests that a server, or several, have answered.

    Attributes:
        requests: How many ended with each gRPC status; none is 0.
        latencies: For each upper bound in microseconds, ascending and ending with infinity, how
            many answers took no longer; empty if nothing was answered.
        restarted: Whether a server has begun to count anew, so that some are missing.
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    latencies: tuple[tuple[float, int], ...] = ()
    restarted: bool = False

    @property
    def total(self) -> int:
        """All requests, whatever their status."""
        return sum(self.requests.values())


def read_counts(address: str, timeout_s: float = MAX_SECONDS) -> Counts:
    """Read what a server has counted since it started.

    Args:
        address: HOST:PORT of the server's REST API.
        timeout_s: Limit for the whole reading, in seconds.

    Raises:
        Unavailable: The page does not come in time, is too large, or is no such page.
    """
    page = _fetch(address, timeout_s)
    try:
        return parse_counts(page)
    except ValueError as error:
        raise Unavailable(f"{address}{METRICS_PATH}: is damaged: {error}") from None


def parse_counts(page: str) -> Counts:
    """Parse a page of metrics; what is of other models is left out.

    Raises:
        ValueError: A line of this model's metrics is damaged.
    """
    from prometheus_client.parser import text_string_to_metric_families

    # Only what is needed is parsed: callers name models as they like, and TensorFlow Serving prints
    # each name.
    lines = [line for line in page.split("\n") if line.startswith((f"{_COUNT}{{", f"{_LATENCY}{{"))]
    wanted = [line for line in lines if any(f'model_name="{name}"' in line for name in _MODELS)]
    requests: Counter[str] = Counter()
    latencies: Counter[float] = Counter()
    for family in text_string_to_metric_families("\n".join([*wanted, ""])):
        for sample in family.samples:
            labels, count = sample.labels, _whole(sample.value)
            if labels.get("model_name") not in _MODELS:
                continue
            if sample.name == _COUNT:
                requests[_label(labels, "status")] += count
            elif _is_answer(labels):
                latencies[_bound(labels)] += count
    return Counts({name: n for name, n in requests.items() if n}, _cumulative(latencies))


def difference(before: Counts, after: Counts) -> Counts:
    """Return what was counted between two readings of one server.

    Counters never go down while a server runs. If one did, the server has restarted, and what it
    has counted since is returned, as far as it was read. A restart is not seen where the counters
    have already passed `before` again, so the container's restarts must be watched too.
    """
    old, new = dict(before.latencies), dict(after.latencies)
    fewer = any(after.requests.get(name, 0) < n for name, n in before.requests.items())
    faster = any(new.get(bound, -1) < n for bound, n in old.items())
    if fewer or faster:
        return Counts(after.requests, after.latencies, restarted=True)
    counted = {name: n - before.requests.get(name, 0) for name, n in after.requests.items()}
    return Counts(
        {name: n for name, n in counted.items() if n},
        tuple((bound, n - old.get(bound, 0)) for bound, n in after.latencies),
        restarted=before.restarted or after.restarted,
    )


def total(counts: Iterable[Counts]) -> Counts:
    """Add what several servers have counted."""
    requests: Counter[str] = Counter()
    histograms, restarted = [], False
    for one in counts:
        requests.update(one.requests)
        histograms.append(one.latencies)
        restarted |= one.restarted
    bounds = sorted({bound for latencies in histograms for bound, _ in latencies})
    return Counts(
        dict(requests),
        tuple((bound, sum(_at(latencies, bound) for latencies in histograms)) for bound in bounds),
        restarted,
    )


def _at(latencies: Iterable[tuple[float, int]], limit: float) -> int:
    """How many answers took no longer than a limit, as far as the buckets tell."""
    return max((n for bound, n in latencies if bound <= limit), default=0)


def _fetch(address: str, timeout_s: float) -> str:
    hint = "does the server run with --monitoring_config_file and --rest_api_port?"
    deadline = time.monotonic() + timeout_s
    try:
        status, page = _get(address, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= deadline:
            raise _too_slow(address, timeout_s) from None
        raise Unavailable(f"{address}{METRICS_PATH}: cannot be read: {error!r}; {hint}") from None
    if time.monotonic() >= deadline:
        raise _too_slow(address, timeout_s)
    if status != http.HTTPStatus.OK:
        raise Unavailable(f"{address}{METRICS_PATH}: is answered with HTTP {status}; {hint}")
    if len(page) > MAX_PAGE_BYTES:
        raise Unavailable(f"{address}{METRICS_PATH}: has more than {MAX_PAGE_BYTES} bytes")
    return page.decode(errors="replace")


def _too_slow(address: str, timeout_s: float) -> Unavailable:
    return Unavailable(f"{address}{METRICS_PATH}: has not come within {timeout_s:g} s")


def _get(address: str, timeout_s: float) -> tuple[int, bytes]:
    """Get the page straight from the server: environment variables name no proxy for it."""
    connection = http.client.HTTPConnection(address, timeout=timeout_s)
    with contextlib.closing(connection):
        connection.connect()
        # A socket's timeout counts from the last byte; this one ends a server that trickles.
        timer = threading.Timer(timeout_s, _hang_up, [connection.sock])
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET", METRICS_PATH)
            response = connection.getresponse()
            return response.status, response.read(MAX_PAGE_BYTES + 1)
        finally:
            timer.cancel()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _is_answer(labels: Mapping[str, str]) -> bool:
    """Whether a latency is of a Predict over gRPC that succeeded; few servers label the status."""
    kind = (labels.get("API"), labels.get("entrypoint"), labels.get("status", "OK"))
    return kind == ("Predict", "GRPC", "OK")


def _whole(value: float) -> int:
    if not math.isfinite(value) or value < 0 or value != int(value):
        raise ValueError(f"{value} is no count")
    return int(value)


def _bound(labels: Mapping[str, str]) -> float:
    bound = float(_label(labels, "le"))
    if math.isnan(bound):
        raise ValueError("a bucket without a bound")
    return bound


def _label(labels: Mapping[str, str], name: str) -> str:
    if name not in labels:
        raise ValueError(f"a count without the label {name}")
    return labels[name]


def _cumulative(latencies: Mapping[float, int]) -> tuple[tuple[float, int], ...]:
    buckets = sorted(latencies.items())
    counts = [n for _, n in buckets]
    if counts != sorted(counts):
        raise ValueError("the counts of the latency's buckets go down")
    if buckets and buckets[-1][0] != math.inf:
        raise ValueError("the latency has no bucket without a bound")
    return tuple(buckets)
