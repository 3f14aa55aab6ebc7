"""The REST addresses: status, metadata and Prometheus' metrics."""

import contextlib
import http.client
import json

import pytest

from support.server_calls import refused
from support.server_with_flags import Flagged, asked, level_faces


def _get(flagged: Flagged, path: str, body: str | None = None) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(flagged.rest, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()


REST = {
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


@pytest.mark.parametrize("path", REST)
def test_rest_tells_the_status(flagged: Flagged, path: str) -> None:
    code, kind, body = _get(flagged, path)
    assert (code, json.loads(body)) == REST[path]
    assert kind == "application/json"


def test_rest_tells_the_signatures_and_leaves_prediction_to_grpc(flagged: Flagged) -> None:
    metadata = json.loads(_get(flagged, "/v1/models/faces/metadata")[2])
    assert metadata["model_spec"]["version"] == "1"
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "encoded"} <= set(signatures)
    code, _, body = _get(flagged, "/v1/models/faces:predict", "{}")
    assert (code, "gRPC" in body) == (501, True)


def test_prometheus_reads_what_was_answered(flagged: Flagged) -> None:
    def metrics() -> dict[str, float]:
        code, kind, page = _get(flagged, "/monitoring/prometheus/metrics")
        assert (code, kind) == (200, "text/plain")
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    labels = 'model_name="faces",version="1"'
    counted = f':tensorflow:serving:request_count{{{labels},status="OK"}}'
    latency = ":tensorflow:serving:request_latency"
    taken = f'{labels},API="Predict",entrypoint="GRPC"'
    before = metrics()
    for _ in range(3):
        flagged.predict.Predict(asked("faces", level_faces(1)), timeout=30)
    refused(lambda: flagged.predict.Predict(asked("faces", level_faces(1)[0]), timeout=30))
    refused(lambda: flagged.predict.Predict(asked("no such model", level_faces(1)), timeout=30))
    after = metrics()
    assert after[counted] - before.get(counted, 0) == 3
    assert after[counted.replace("OK", "INVALID_ARGUMENT")] >= 1
    assert after[f"{latency}_count{{{taken}}}"] == after[counted]
    assert after[f'{latency}_bucket{{{taken},le="+Inf"}}'] == after[counted]
    assert after[f'{latency}_bucket{{{taken},le="10"}}'] == 0
    assert not any("no such model" in name for name in after)
