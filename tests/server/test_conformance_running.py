"""What callers and probes of a running server rely on: health, REST, and calls that go on."""

import json
import sys
import threading
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from emotion_ai.client.channel import OPTIONS
from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError

from support.any_server import AnyServer, named_server
from support.server_calls import expect_rpc_error, four_face_request

SERVING = health_pb2.HealthCheckResponse.SERVING
FACE = np.zeros((1, 96, 96, 1), np.uint8)
# Longer than a connection's age in k8s/base, which is 30 s and a tenth.
SECONDS = 45.0


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_health_check_and_watch(any_server: AnyServer, service: str) -> None:
    """TensorFlow Serving needs --enable_grpc_healthcheck_service for it."""
    stub = health_pb2_grpc.HealthStub(any_server.channel)
    request = health_pb2.HealthCheckRequest(service=service)
    assert stub.Check(request, timeout=10).status == SERVING
    watch = stub.Watch(request, timeout=10)
    assert next(watch).status == SERVING
    watch.cancel()


def test_health_of_an_unknown_service(any_server: AnyServer) -> None:
    stub = health_pb2_grpc.HealthStub(any_server.channel)
    request = health_pb2.HealthCheckRequest(service="unknown")
    assert expect_rpc_error(lambda: stub.Check(request, timeout=10))[0] == grpc.StatusCode.NOT_FOUND


def test_callers_at_once_are_all_answered(any_server: AnyServer) -> None:
    request = four_face_request()

    def call(_: int) -> int:
        response = any_server.predict.Predict(request, timeout=60)
        return int(response.model_spec.version.value)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(call, range(200))) == {any_server.version}


def test_a_request_that_was_given_up_is_no_harm(any_server: AnyServer) -> None:
    call = any_server.predict.Predict.future(four_face_request(), timeout=60)
    call.cancel()
    assert any_server.client.predict_arrays(FACE).version == any_server.version


def _read(any_server: AnyServer, path: str) -> str:
    if not any_server.rest:
        pytest.skip("no REST address is named; tests/server/test_rest.py has the embedded server's")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{any_server.rest}{path}", timeout=10) as response:
        return str(response.read().decode())


def test_rest_tells_probes_the_status_and_metadata(any_server: AnyServer) -> None:
    (status,) = json.loads(_read(any_server, "/v1/models/emotion_ai"))["model_version_status"]
    assert (status["version"], status["state"]) == (str(any_server.version), "AVAILABLE")
    metadata = json.loads(_read(any_server, "/v1/models/emotion_ai/metadata"))
    assert metadata["model_spec"]["version"] == str(any_server.version)


def test_rest_counts_requests(any_server: AnyServer) -> None:
    any_server.client.predict_arrays(FACE)
    page = _read(any_server, "/monitoring/prometheus/metrics")
    assert ":tensorflow:serving:request_count{" in page
    assert ":tensorflow:serving:request_latency_bucket{" in page


def _call_for_a_while(any_server: AnyServer) -> Counter[str]:
    codes: Counter[str] = Counter()
    stop = threading.Event()
    credentials = any_server.tls.credentials() if any_server.tls else None
    # A connection for each caller, and no retries.
    options: list[tuple[str, Any]] = [
        *(any_server.tls.options() if any_server.tls else []),
        *(option for option in OPTIONS if option[0] != "grpc.service_config"),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    data = four_face_request().SerializeToString()

    def call_without_retries() -> None:
        channel = (
            grpc.secure_channel(any_server.address, credentials, options)
            if credentials
            else grpc.insecure_channel(any_server.address, options)
        )
        with channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            while not stop.is_set():
                try:
                    call(data, timeout=60)
                    codes["without retries: OK"] += 1
                except grpc.RpcError as error:
                    codes[f"without retries: {error.code().name}"] += 1

    def call_with_the_client() -> None:
        with Client(any_server.address, tls=any_server.tls) as client:
            while not stop.is_set():
                outcome = "the client: OK"
                try:
                    client.predict_arrays(FACE)
                except EmotionAIError as error:
                    outcome = f"the client: {error}"
                codes[outcome] += 1

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call_without_retries) for _ in range(4)]
        calls += [pool.submit(call_with_the_client) for _ in range(4)]
        stop.wait(SECONDS)
        stop.set()
        for call in calls:
            call.result()
    return codes


@pytest.mark.skipif(not named_server(), reason="for a running server; `make conformance` names it")
def test_no_call_of_the_client_fails_while_connections_end(
    any_server: AnyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Restart the server meanwhile, or roll out: none must fail either."""
    codes = _call_for_a_while(any_server)
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(codes)}\n")
    assert codes["the client: OK"] > 0
    assert {code for code in codes if code.startswith("the client")} == {"the client: OK"}
