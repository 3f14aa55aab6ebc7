"""The REST API: status, metadata and Prometheus metrics."""

import contextlib
import http.client
import json

import pytest

from support.server_calls import expect_rpc_error
from support.server_with_flags import ConfiguredServer, image_request, uniform_faces


def _get(
    configured_server: ConfiguredServer, path: str, body: str | None = None
) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(configured_server.rest, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()


RESPONSES = {
    "/v1/models/faces": (
        200,
        {
            "model_version_status": [
                {
                    "version": "1",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        },
    ),
    "/v1/models/other": (404, {"error": "Could not find any versions of model other"}),
    "/v1/models/faces/versions/4": (404, {"error": "Could not find version 4 of model faces"}),
    "/v1/models": (400, {"error": "Missing model name in request."}),
    "/v1/faces": (400, {"error": "Malformed request: GET /v1/faces"}),
}


@pytest.mark.parametrize("path", RESPONSES)
def test_rest_returns_model_status(configured_server: ConfiguredServer, path: str) -> None:
    code, content_type, body = _get(configured_server, path)
    assert (code, json.loads(body)) == RESPONSES[path]
    assert content_type == "application/json"


def test_rest_returns_metadata_and_no_predictions_beside_tls(
    configured_server: ConfiguredServer,
) -> None:
    metadata = json.loads(_get(configured_server, "/v1/models/faces/metadata")[2])
    assert metadata["model_spec"]["version"] == "1"
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "encoded"} <= set(signatures)
    code, _, body = _get(configured_server, "/v1/models/faces:predict", "{}")
    assert (code, "ask over gRPC" in body) == (403, True)


def test_rest_returns_prometheus_metrics(configured_server: ConfiguredServer) -> None:
    def metrics() -> dict[str, float]:
        code, content_type, page = _get(configured_server, "/monitoring/prometheus/metrics")
        assert (code, content_type) == (200, "text/plain")
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    labels = 'model_name="faces",version="1"'
    count = f':tensorflow:serving:request_count{{{labels},status="OK"}}'
    latency = ":tensorflow:serving:request_latency"
    latency_labels = f'{labels},API="Predict",entrypoint="GRPC"'
    before = metrics()
    for _ in range(3):
        configured_server.predict.Predict(image_request("faces", uniform_faces(1)), timeout=30)
    expect_rpc_error(
        lambda: configured_server.predict.Predict(
            image_request("faces", uniform_faces(1)[0]), timeout=30
        )
    )
    expect_rpc_error(
        lambda: configured_server.predict.Predict(
            image_request("no such model", uniform_faces(1)), timeout=30
        )
    )
    after = metrics()
    assert after[count] - before.get(count, 0) == 3
    assert after[count.replace("OK", "INVALID_ARGUMENT")] >= 1
    assert after[f"{latency}_count{{{latency_labels}}}"] == after[count]
    assert after[f'{latency}_bucket{{{latency_labels},le="+Inf"}}'] == after[count]
    assert after[f'{latency}_bucket{{{latency_labels},le="10"}}'] == 0
    assert not any("no such model" in name for name in after)
