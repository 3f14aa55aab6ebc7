"""The Open Inference Protocol's HTTP paths and bodies, as no client would send them."""

import contextlib
import http.client
import json
from typing import Any

import numpy as np
import pytest

from emotion_ai.server.bounded_json import MAX_VALUES

from support.server_calls import RunningServer
from support.server_with_flags import ConfiguredServer

FACE = np.full((1, 96, 96, 1), 200, np.uint8)
MODEL = "/v2/models/emotion_ai"
LENGTH = "Inference-Header-Content-Length"
BINARY = {"binary_data_size": FACE.nbytes}


def _ask(
    address: str, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(address, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, names)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read())


def _infer(server: RunningServer, document: Any, raw: bytes = b"", **headers: str) -> Any:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    if raw:
        headers.setdefault(LENGTH, str(len(text)))
    return _ask(server.rest, "POST", f"{MODEL}/infer", text + raw, **headers)


def _images(**fields: Any) -> dict[str, Any]:
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(FACE.shape)}
    return {"inputs": [tensor | fields]}


def _keypoints(answer: tuple[int, Any]) -> Any:
    assert answer[0] == 200, answer
    (keypoints,) = [o for o in answer[1]["outputs"] if o["name"] == "keypoints"]
    return keypoints["data"]


def test_values_are_flat_or_in_lists(server: RunningServer) -> None:
    expected = server.client.predict_arrays(FACE).outputs["keypoints"]
    for values in (FACE.tolist(), FACE.ravel().tolist(), FACE[0].tolist()):
        assert np.float32(_keypoints(_infer(server, _images(data=values)))).tolist() == (
            expected.ravel().tolist()
        )


def test_texts_are_bytes_and_binary_pictures_stand_in_json(server: RunningServer) -> None:
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": ["no picture"]}
    body = {"inputs": [tensor], "parameters": {"signature_name": "encoded"}}
    code, answer = _infer(server, body)
    assert code == 400
    assert "image" in answer["error"].lower()


def test_bytes_follow_the_json(server: RunningServer) -> None:
    plain = _keypoints(_infer(server, _images(data=FACE.ravel().tolist())))
    answer = _infer(server, _images(parameters=BINARY), FACE.tobytes())
    assert _keypoints(answer) == plain


PATHS = {
    "/v2": (200, "name"),
    "/v2/": (200, "extensions"),
    "/v2/health/live": (200, "live"),
    "/v2/health/ready": (200, "ready"),
    MODEL: (200, "platform"),
    f"{MODEL}/": (200, "platform"),
    f"{MODEL}/versions/1": (200, "versions"),
    f"{MODEL}/versions/1/ready": (200, "ready"),
    f"{MODEL}/versions/9/ready": (503, "ready"),
    f"{MODEL}/versions/9": (404, "error"),
    f"{MODEL}/versions/none": (400, "error"),
    "/v2/models/emotion%5Fai/ready": (200, "ready"),
    "/v2/models/other": (404, "error"),
    "/v2/models": (400, "error"),
    "/v2/health": (400, "error"),
    f"{MODEL}/infer": (400, "error"),
    f"{MODEL}/config": (400, "error"),
    f"{MODEL}/versions/{'9' * 5000}": (400, "error"),
    "/v2x": (400, "error"),
}


@pytest.mark.parametrize("path", PATHS)
def test_paths(server: RunningServer, path: str) -> None:
    code, key = PATHS[path]
    answered, answer = _ask(server.rest, "GET", path)
    assert (answered, key in answer) == (code, True), answer


@pytest.mark.parametrize("path", ["/v2", MODEL, f"{MODEL}/ready", "/v2/health/ready"])
def test_only_inference_is_posted(server: RunningServer, path: str) -> None:
    code, answer = _ask(server.rest, "POST", path, b"{}")
    assert (code, answer["error"]) == (400, f"Malformed request: POST {path}")


REFUSED: dict[str, tuple[Any, bytes, dict[str, str], str]] = {
    "nothing": (b"", b"", {}, "The document is empty"),
    "no object": (b"[]", b"", {}, "Is not object"),
    "no inputs": ({}, b"", {}, "inputs: Field required"),
    "inputs by name": ({"inputs": {"images": 1}}, b"", {}, "inputs: Input should be a valid list"),
    "a number for a name": (_images(name=3), b"", {}, "inputs.0.name: Input should be a valid str"),
    "a fraction for a size": (_images(shape=[1.5]), b"", {}, "inputs.0.shape.0"),
    "a size below zero": (_images(shape=[-1, 96, 96, 1], data=[]), b"", {}, "none below zero"),
    "a size beyond 64 bits": (_images(shape=[1 << 70], data=[]), b"", {}, "67108864 elements"),
    "no elements of a size beyond 64 bits": (
        _images(shape=[0, 1 << 62, 1 << 62], data=[]),
        b"",
        {},
        "67108864 elements",
    ),
    "sizes without an end": (_images(shape=[1] * 300, data=[1]), b"", {}, "at most 32 sizes"),
    "a half of a character": (_images(name="\ud800", data=[]), b"", {}, "a name that is no text"),
    "a signature of half a character": (
        {"inputs": [], "parameters": {"signature_name": "\ud800"}},
        b"",
        {},
        "a name that is no text",
    ),
    "no values": (_images(), b"", {}, "Type: Null"),
    "fewer values": (_images(data=[1, 2]), b"", {}, "2 values do not fit shape [1,96,96,1]"),
    "too large a value": (_images(data=[300] * FACE.size), b"", {}, "JSON Value: 300"),
    "no number": (b'{"inputs": NaN}', b"", {}, "valid list"),
    "a value that is none": (_images(data=[float("nan")] * FACE.size), b"", {}, "NaN"),
    "too many values": (_images(data=[1] * (MAX_VALUES + 1)), b"", {}, "are read"),
    "many lists in each other": (b"[" * 100_000, b"", {}, "JSON Parse error"),
    "signature that is no text": (
        _images(data=FACE.tolist()) | {"parameters": {"signature_name": 3}},
        b"",
        {},
        "parameter signature_name: expected a str",
    ),
    "values beside bytes": (_images(data=[1], parameters=BINARY), FACE.tobytes(), {}, "beside"),
    "fewer bytes": (_images(parameters=BINARY), FACE.tobytes()[:-1], {}, "9215 bytes follow"),
    "more bytes": (_images(parameters=BINARY), FACE.tobytes() + b"x", {}, "1 bytes after the last"),
    "bytes of another shape": (
        _images(parameters={"binary_data_size": 5}),
        b"12345",
        {},
        "5 bytes do not fit shape [1,96,96,1] of UINT8",
    ),
    "a size of bytes below zero": (
        _images(parameters={"binary_data_size": -1}),
        FACE.tobytes(),
        {},
        "binary_data_size -1",
    ),
    "a size of bytes that is true": (
        _images(parameters={"binary_data_size": True}),
        FACE.tobytes(),
        {},
        "expected a int",
    ),
    "JSON longer than the body": (_images(), b"", {LENGTH: "99999"}, "of a body of"),
    "JSON cut off": (_images(parameters=BINARY), FACE.tobytes(), {LENGTH: "9"}, "Parse error"),
    "a length that is no number": (_images(), b"", {LENGTH: "-5"}, "expected a number of bytes"),
    "a length of many digits": (_images(), b"", {LENGTH: "9" * 5000}, "expected a number of bytes"),
    "an element longer than its tensor": (
        _images(datatype="BYTES", shape=[1], parameters={"binary_data_size": 5}),
        b"\xff\xff\xff\xffx",
        {},
        "are not 1 BYTES elements",
    ),
    "elements without an end": (
        _images(datatype="BYTES", shape=[1 << 20], parameters={"binary_data_size": 4}),
        bytes(4),
        {},
        "at most 16384 BYTES elements",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_mistakes_are_named(server: RunningServer, kind: str) -> None:
    document, raw, headers, words = REFUSED[kind]
    code, answer = _infer(server, document, raw, **headers)
    assert (code, words in answer["error"]) == (400, True), answer
    assert len(answer["error"]) < 1100


def test_no_inference_beside_tls(configured_server: ConfiguredServer) -> None:
    code, answer = _ask(configured_server.rest, "POST", "/v2/models/faces/infer", b"{}")
    assert (code, "ask over gRPC" in answer["error"]) == (403, True)
    code, answer = _ask(configured_server.rest, "GET", "/v2/models/faces")
    assert (code, answer["name"]) == (200, "faces")
