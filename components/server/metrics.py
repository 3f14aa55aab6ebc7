"""Counts and latencies in Prometheus' text format, under TensorFlow Serving's names.

Source: tensorflow_serving/servables/tensorflow/util.cc (names, labels, buckets) and
util/prometheus_exporter.cc (format). The label `version` is ours. Written out here, because the
format takes a page and a client library would put prefixes of its own to the names.
"""

import bisect
import itertools
import threading
from collections import defaultdict
from dataclasses import dataclass, field

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain"
_PREFIX = ":tensorflow:serving:"
# In microseconds: 33 buckets of which the first ends at 10, each 1.8 times the one before.
_LIMITS = tuple(10 * 1.8**power for power in range(32))
_LABEL_NAMES = ("model_name", "version")

_Labels = tuple[str, ...]


@dataclass
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(_LIMITS) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_right(_LIMITS, value)] += 1
        self.total += value


class Metrics:
    """What the server has answered since it started; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: defaultdict[_Labels, int] = defaultdict(int)
        self._request_latency: defaultdict[_Labels, _Histogram] = defaultdict(_Histogram)
        self._runtime_latency: defaultdict[_Labels, _Histogram] = defaultdict(_Histogram)

    def request(self, model: str, version: str, status: str, seconds: float) -> None:
        """Count a Predict request by its status, and take its latency where that is OK.

        `model` has to be one that is configured, or "": names from outside are without number.
        """
        with self._lock:
            self._requests[model, version, status] += 1
            if status == "OK":
                self._request_latency[model, version, "Predict", "GRPC"].add(seconds * 1e6)

    def runtime(self, model: str, version: str, runtime: str, seconds: float) -> None:
        """Take the time that a runtime, "TF1" or "TFLite", needed for a batch."""
        with self._lock:
            self._runtime_latency[model, version, "Predict", runtime].add(seconds * 1e6)

    def page(self) -> str:
        """All of it as Prometheus reads it."""
        with self._lock:
            lines = [f"# TYPE {_PREFIX}request_count counter"]
            for labels, count in sorted(self._requests.items()):
                text = _labelled((*_LABEL_NAMES, "status"), labels)
                lines.append(f"{_PREFIX}request_count{{{text}}} {count}")
            lines += _histograms("request_latency", "entrypoint", self._request_latency)
            lines += _histograms("runtime_latency", "runtime", self._runtime_latency)
        return "\n".join(lines) + "\n"


def _histograms(name: str, last_label: str, points: dict[_Labels, _Histogram]) -> list[str]:
    lines = [f"# TYPE {_PREFIX}{name} histogram"]
    for labels, histogram in sorted(points.items()):
        text = _labelled((*_LABEL_NAMES, "API", last_label), labels)
        limits = [f"{limit:g}" for limit in _LIMITS] + ["+Inf"]
        counts = itertools.accumulate(histogram.counts)
        for limit, count in zip(limits, counts, strict=True):
            lines.append(f'{_PREFIX}{name}_bucket{{{text},le="{limit}"}} {count}')
        lines.append(f"{_PREFIX}{name}_sum{{{text}}} {histogram.total:g}")
        lines.append(f"{_PREFIX}{name}_count{{{text}}} {sum(histogram.counts)}")
    return lines


def _labelled(names: tuple[str, ...], values: _Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{escaped(v)}"' for name, v in zip(names, values, strict=True))
