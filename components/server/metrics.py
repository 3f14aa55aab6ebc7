"""Counts and latencies in Prometheus' text format, under TensorFlow Serving's names.

Source: tensorflow_serving/servables/tensorflow/util.cc (names, labels, buckets) and
util/prometheus_exporter.cc (format). The label `version` is an addition. The format is written
here, because it is short and a client library would not allow these names.
"""

import bisect
import itertools
import threading
from collections import defaultdict
from dataclasses import dataclass, field

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain"
_PREFIX = ":tensorflow:serving:"
# Upper bounds in microseconds; a last bucket takes everything above.
_BUCKET_BOUNDS = tuple(10 * 1.8**power for power in range(32))
_LABEL_NAMES = ("model_name", "version")

_Labels = tuple[str, ...]


@dataclass
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(_BUCKET_BOUNDS) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_right(_BUCKET_BOUNDS, value)] += 1
        self.total += value


class Metrics:
    """Request counts and latencies since the server started. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: defaultdict[_Labels, int] = defaultdict(int)
        self._request_latency: defaultdict[_Labels, _Histogram] = defaultdict(_Histogram)
        self._runtime_latency: defaultdict[_Labels, _Histogram] = defaultdict(_Histogram)

    def record_request(
        self, model: str, version: str, status: str, seconds: float, entrypoint: str
    ) -> None:
        """Count a Predict request, and record its latency if it succeeded.

        Args:
            model: A configured model, or "": unknown names would make the metrics grow.
            version: The version that served the request, or "".
            status: The name of the gRPC status code.
            seconds: From the request's arrival to its response.
            entrypoint: "GRPC" or "REST".
        """
        with self._lock:
            self._requests[model, version, status] += 1
            if status == "OK":
                self._request_latency[model, version, "Predict", entrypoint].add(seconds * 1e6)

    def record_runtime(self, model: str, version: str, runtime: str, seconds: float) -> None:
        """Record how long a runtime ("TF1" or "TFLite") took for a batch."""
        with self._lock:
            self._runtime_latency[model, version, "Predict", runtime].add(seconds * 1e6)

    def render(self) -> str:
        """Return every metric in Prometheus' text format."""
        with self._lock:
            lines = [f"# TYPE {_PREFIX}request_count counter"]
            for values, count in sorted(self._requests.items()):
                labels = _format_labels((*_LABEL_NAMES, "status"), values)
                lines.append(f"{_PREFIX}request_count{{{labels}}} {count}")
            lines += _render_histograms("request_latency", "entrypoint", self._request_latency)
            lines += _render_histograms("runtime_latency", "runtime", self._runtime_latency)
        return "\n".join(lines) + "\n"


def _render_histograms(
    name: str, last_label: str, histograms: dict[_Labels, _Histogram]
) -> list[str]:
    lines = [f"# TYPE {_PREFIX}{name} histogram"]
    for values, histogram in sorted(histograms.items()):
        labels = _format_labels((*_LABEL_NAMES, "API", last_label), values)
        bounds = [f"{bound:g}" for bound in _BUCKET_BOUNDS] + ["+Inf"]
        counts = itertools.accumulate(histogram.counts)
        for bound, count in zip(bounds, counts, strict=True):
            lines.append(f'{_PREFIX}{name}_bucket{{{labels},le="{bound}"}} {count}')
        lines.append(f"{_PREFIX}{name}_sum{{{labels}}} {histogram.total:g}")
        lines.append(f"{_PREFIX}{name}_count{{{labels}}} {sum(histogram.counts)}")
    return lines


def _format_labels(names: tuple[str, ...], values: _Labels) -> str:
    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{escape(v)}"' for name, v in zip(names, values, strict=True))
