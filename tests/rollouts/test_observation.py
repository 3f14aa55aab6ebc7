"""What a server counts of its requests: real servers, TensorFlow Serving's page, damaged pages."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError, Unavailable
from emotion_ai.rollouts.cluster import observation
from emotion_ai.rollouts.cluster.observation import (
    METRICS_PATH,
    Counts,
    difference,
    parse_counts,
    read_counts,
    total,
)
from emotion_ai.server.metrics import Metrics

from support.monitored_server import publish_champion, serving_with_metrics

FACE = np.full((1, 96, 96, 1), 100, np.uint8)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_champion(tmp_path_factory.mktemp("observation"))


def test_a_real_server_is_read_before_and_between_requests(registry: Path, tmp_path: Path) -> None:
    with serving_with_metrics(registry, tmp_path) as server, Client(server.address) as client:
        before = read_counts(server.rest)
        assert (before.requests, before.latencies) == ({}, ())
        for _ in range(3):
            client.predict_arrays(FACE)
        middle = read_counts(server.rest)
        assert middle.requests == {"OK": 3}
        assert [n for _, n in middle.latencies][-1] == 3
        assert middle.latencies[-1][0] == math.inf
        assert middle.latencies[0] == (10.0, 0)
        for _ in range(2):
            client.predict_arrays(FACE)
        with pytest.raises(EmotionAIError):
            # Counted under no model: no version 9 is loaded.
            client.predict_arrays(FACE, version=9)
        since = difference(middle, read_counts(server.rest))
    assert since.requests == {"OK": 2, "NOT_FOUND": 1}
    assert since.latencies[-1] == (math.inf, 2)
    assert not since.restarted


def test_a_server_that_restarted_is_noticed(registry: Path, tmp_path: Path) -> None:
    readings = []
    for count in (3, 1):
        with serving_with_metrics(registry, tmp_path) as server, Client(server.address) as client:
            for _ in range(count):
                client.predict_arrays(FACE)
            readings.append(read_counts(server.rest))
    since = difference(*readings)
    assert since.restarted
    assert since.requests == {"OK": 1}


def test_a_server_without_metrics_says_which_flags_it_lacks(registry: Path, tmp_path: Path) -> None:
    with (
        serving_with_metrics(registry, tmp_path, monitored=False) as server,
        pytest.raises(Unavailable, match=r"HTTP 4.*--monitoring_config_file"),
    ):
        read_counts(server.rest)
    with pytest.raises(Unavailable, match=f"{server.rest}{METRICS_PATH}: cannot be read"):
        read_counts(server.rest)


# The lines that TensorFlow Serving's exporter writes (util/prometheus_exporter.cc): no version,
# names of callers as they come, other APIs, and the status that a few releases add to a latency.
TENSORFLOW_SERVING = """\
# TYPE :tensorflow:serving:request_count counter
:tensorflow:serving:request_count{model_name="emotion_ai",status="OK"} 4
:tensorflow:serving:request_count{model_name="emotion_ai",status="INVALID_ARGUMENT"} 2
:tensorflow:serving:request_count{model_name="other",status="OK"} 70
:tensorflow:serving:request_count{model_name="split
name",status="NOT_FOUND"} 1
:tensorflow:serving:request_count{model_name="a \\"model_name=\\"emotion_ai",status="NOT_FOUND"} 9
# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_bucket{model_name="emotion_ai",API="Predict",entrypoint="GRPC",le="10"} 1
:tensorflow:serving:request_latency_bucket{model_name="emotion_ai",API="Predict",entrypoint="GRPC",le="1.13e+06"} 3
:tensorflow:serving:request_latency_bucket{model_name="emotion_ai",API="Predict",entrypoint="GRPC",le="+Inf"} 3
:tensorflow:serving:request_latency_sum{model_name="emotion_ai",API="Predict",entrypoint="GRPC"} 900
:tensorflow:serving:request_latency_count{model_name="emotion_ai",API="Predict",entrypoint="GRPC"} 3
:tensorflow:serving:request_latency_bucket{model_name="emotion_ai",API="Predict",entrypoint="REST",le="10"} 1
:tensorflow:serving:request_latency_bucket{model_name="emotion_ai",API="Predict",entrypoint="REST",le="+Inf"} 1
:tensorflow:serving:request_latency_bucket{model_name="emotion_ai",API="Predict",entrypoint="GRPC",status="INVALID_ARGUMENT",le="+Inf"} 2
:tensorflow:serving:runtime_latency_bucket{model_name="emotion_ai",API="Predict",runtime="TF1",le="+Inf"} 3
# TYPE :tensorflow:cc:saved_model:load_attempt_count counter
:tensorflow:cc:saved_model:load_attempt_count{model_path="/models/emotion_ai/1",status="success"} 1
"""  # noqa: E501


def test_a_page_of_tensorflow_serving_is_read() -> None:
    counts = parse_counts(TENSORFLOW_SERVING)
    assert counts.requests == {"OK": 4, "INVALID_ARGUMENT": 2}
    assert counts.latencies == ((10.0, 1), (1.13e6, 3), (math.inf, 3))


def test_versions_of_a_model_are_added() -> None:
    metrics = Metrics()
    for version in ("1", "2"):
        metrics.record_request("emotion_ai", version, "OK", 0.004, "GRPC")
    metrics.record_request("emotion_ai", "2", "INTERNAL", 0.004, "GRPC")
    metrics.record_request("another", "2", "INTERNAL", 0.004, "GRPC")
    counts = parse_counts(metrics.render())
    assert counts.requests == {"OK": 2, "INTERNAL": 1}
    assert counts.latencies[-1] == (math.inf, 2)


def test_pages_without_this_model_count_nothing() -> None:
    assert parse_counts("") == parse_counts("<html>no metrics</html>") == Counts()
    assert parse_counts(TENSORFLOW_SERVING.replace("emotion_ai", "other")) == Counts()


_OK_LINE = ':tensorflow:serving:request_count{model_name="emotion_ai",status="OK"} 4'
_BUCKET = (
    ":tensorflow:serving:request_latency_bucket"
    '{model_name="emotion_ai",API="Predict",entrypoint="GRPC",le="%s"} %s'
)


@pytest.mark.parametrize(
    "page",
    [
        _OK_LINE.replace("4", "NaN"),
        _OK_LINE.replace("4", "+Inf"),
        _OK_LINE.replace("4", "-4"),
        _OK_LINE.replace("4", "4.5"),
        _OK_LINE.replace("4", "many"),
        _OK_LINE.replace("4", ""),
        _OK_LINE.replace('status="OK"', 'state="OK"'),
        _OK_LINE.replace('status="OK"} 4', 'status="O'),
        _BUCKET % ("10", 3),
        _BUCKET % ("fast", 3),
        _BUCKET % ("nan", 3),
        f"{_BUCKET % ('10', 3)}\n{_BUCKET % ('+Inf', 2)}",
    ],
)
def test_damaged_counts_are_errors(page: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_counts(page)


@pytest.fixture
def page_server() -> Iterator[list[bytes]]:
    """A server that sends these pieces, then waits; the first element is its address."""
    pieces: list[bytes] = []
    stop = threading.Event()

    def answer(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                for piece in pieces[1:]:
                    connection.sendall(piece)
                    if len(piece) == 1 and stop.wait(0.05):
                        return
                stop.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        pieces.append(f"127.0.0.1:{listener.getsockname()[1]}".encode())
        thread = threading.Thread(target=answer, args=[listener])
        thread.start()
        yield pieces
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"H", b"T", b"T", b"P", b"/", *[b"1"] * 10_000],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b"\n"] * 10_000],
        [b"HTTP/1.1 200 OK\r\n", *[b"x"] * 10_000],
    ],
    ids=["silent", "status", "body", "headers"],
)
def test_a_server_that_trickles_is_left(page_server: list[bytes], pieces: list[bytes]) -> None:
    page_server.extend(pieces)
    with pytest.raises(Unavailable, match=r"has not come within 0\.5 s"):
        read_counts(page_server[0].decode(), timeout_s=0.5)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"#" * 1001, "more than 1000 bytes"),
        (b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n", "HTTP 503"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 73\r\n\r\n" + _OK_LINE[:-1].encode() + b"x\n",
            "damaged",
        ),
    ],
    ids=["other protocol", "size", "status", "damage"],
)
def test_other_answers_are_no_metrics(
    page_server: list[bytes], page: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "MAX_PAGE_BYTES", 1000)
    page_server.append(page)
    with pytest.raises(Unavailable, match=message):
        read_counts(page_server[0].decode(), timeout_s=30)


def test_no_proxy_is_asked(page_server: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    body = f"{_OK_LINE}\n".encode()
    page_server.append(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert read_counts(page_server[0].decode(), timeout_s=30).requests == {"OK": 4}


readings = st.builds(
    lambda requests, steps: Counts(
        {name: n for name, n in requests.items() if n},
        tuple((bound, sum(steps[: i + 1])) for i, bound in enumerate([10.0, 18.0, 32.4, math.inf]))
        if any(steps)
        else (),
    ),
    st.dictionaries(st.sampled_from(["OK", "INTERNAL", "NOT_FOUND"]), st.integers(0, 50)),
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
)


@given(readings, readings)
def test_a_difference_gives_back_what_was_added(before: Counts, since: Counts) -> None:
    assert difference(before, total([before, since])) == Counts(
        since.requests, since.latencies or tuple((bound, 0) for bound, _ in before.latencies)
    )


@given(readings, readings)
def test_a_difference_is_never_negative(before: Counts, after: Counts) -> None:
    since = difference(before, after)
    counts = [n for _, n in since.latencies]
    assert all(n > 0 for n in since.requests.values())
    assert all(n >= 0 for n in counts)
    assert since.restarted or total([before, since]).requests == after.requests


@given(readings)
def test_a_counter_that_falls_is_a_restart(reading: Counts) -> None:
    fresh = difference(reading, Counts())
    assert fresh.restarted == bool(reading.requests or reading.latencies)


def test_servers_with_other_buckets_are_added_as_far_as_the_buckets_tell() -> None:
    fine = Counts({"OK": 4}, ((10.0, 1), (18.0, 3), (math.inf, 4)))
    coarse = Counts({"OK": 2, "INTERNAL": 1}, ((15.0, 2), (math.inf, 2)))
    both = total([fine, coarse, Counts()])
    assert both.requests == {"OK": 6, "INTERNAL": 1}
    assert both.latencies == ((10.0, 1), (15.0, 3), (18.0, 5), (math.inf, 6))
    assert both.total == 7
