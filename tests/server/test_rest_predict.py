"""Predictions over REST, in TensorFlow Serving's JSON."""

import base64
import contextlib
import gzip
import http.client
import io
import json
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emotion_ai.server.bounded_json import MAX_NAMES, MAX_VALUES, parse_object
from emotion_ai.server.errors import StatusError
from emotion_ai.server.http_server import MAX_BODY_BYTES
from emotion_ai.server.predict_request import Outputs
from emotion_ai.server.rest_predict import read_request
from emotion_ai.server.signature import InputSpec, Signature
from emotion_ai.serving_api.tensors import read_tensor

from support.server_calls import RunningServer

FACES = np.stack([np.full((96, 96, 1), value, np.uint8) for value in (10, 200)])
PATH = "/v1/models/emotion_ai:predict"


def _post(server: RunningServer, body: Any, path: str = PATH) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(server.rest, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, data)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read())


def _png(value: int) -> dict[str, str]:
    file = io.BytesIO()
    Image.new("L", (96, 96), value).save(file, "PNG")
    return {"b64": base64.b64encode(file.getvalue()).decode()}


def test_rows_and_columns_are_what_grpc_answers(server: RunningServer) -> None:
    expected = server.client.predict_arrays(FACES).outputs
    code, by_name = _post(server, {"inputs": FACES.tolist()})
    assert code == 200
    assert set(by_name["outputs"]) == set(expected)
    for name, array in expected.items():
        wanted = array.astype(str) if array.dtype == object else array
        np.testing.assert_array_equal(np.array(by_name["outputs"][name], wanted.dtype), wanted)
    code, by_row = _post(server, {"instances": [{"images": face} for face in FACES.tolist()]})
    assert code == 200
    rows = [
        {name: values[number] for name, values in by_name["outputs"].items()} for number in (0, 1)
    ]
    assert by_row == {"predictions": rows}
    assert _post(server, {"instances": FACES.tolist()}) == (200, by_row)


def test_pictures_are_sent_as_base64(server: RunningServer) -> None:
    _, expected = _post(server, {"instances": FACES.tolist()})
    for instances in (
        [_png(10), _png(200)],
        [{"image_bytes": _png(10)}, {"image_bytes": _png(200)}],
    ):
        answer = _post(server, {"signature_name": "encoded", "instances": instances})
        assert answer == (200, expected)


@pytest.mark.parametrize(
    "pack", [lambda data: gzip.compress(data, mtime=0), zlib.compress], ids=["gzip", "deflate"]
)
def test_packed_body_is_unpacked(server: RunningServer, pack: Any) -> None:
    body = json.dumps({"instances": FACES.tolist()}).encode()
    assert _post(server, pack(body)) == _post(server, body)


def test_version_is_named_by_the_path(server: RunningServer) -> None:
    body = {"instances": FACES.tolist()}
    assert _post(server, body, "/v1/models/emotion_ai/versions/1:predict") == _post(server, body)
    assert _post(server, body, "/v1/models/emotion_ai/versions/9:predict") == (
        404,
        {"error": "Servable not found for request: Specific(emotion_ai, 9)"},
    )


REFUSED = {
    "nothing": (b"", 400, "The document is empty"),
    "cut off": (b'{"instances": [', 400, "JSON Parse error"),
    "no text": (b"\xff\xfe", 400, "JSON Parse error"),
    "no object": (b"[1]", 400, "Is not object"),
    "no inputs": ({"signature_name": "encoded"}, 400, "Missing 'inputs' or 'instances' key"),
    "both": ({"inputs": [], "instances": []}, 400, "only one of"),
    "no list": ({"instances": 3}, 400, "to be an list/array"),
    "no instances": ({"instances": []}, 400, "No values in 'instances' array"),
    "another signature": (
        {"signature_name": "no", "instances": [1]},
        400,
        'Serving signature key "no" not found.',
    ),
    "a number for a name": ({"signature_name": 3, "instances": [1]}, 400, "must be a string"),
    "another input": ({"instances": [{"image": 1}]}, 400, "Missing named input: images"),
    "one input more": ({"instances": [{"images": 1, "more": 2}]}, 400, '"more"'),
    "text for numbers": ({"instances": ["a"]}, 400, "Type: String is not of expected type: uint8"),
    "fractions": ({"instances": [0.5]}, 400, "JSON Value: 0.5 Type: Number"),
    "truth": ({"instances": [True]}, 400, "JSON Value: true Type: Boolean"),
    "too large a number": ({"instances": [300]}, 400, "JSON Value: 300 Type: Number"),
    "another shape": ({"instances": [[1, 2]]}, 400, "must have shape [?,96,96,1]"),
    "unequal lists": ({"instances": [[1, 2], [1]]}, 400, "list at unexpected size: 2"),
    "a list beside a value": ({"instances": [[1], 1]}, 400, "side by side at level: 1"),
    # Python 3.13 reads some thousand levels.
    "more lists than are read": (b'{"inputs": ' + b"[" * 100_000 + b"}", 400, "Parse error"),
    "a list of thousands": (b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, ""),
    "a list of many levels": (b'{"inputs": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "level: 33"),
    "a number of many digits": (b'{"inputs": ' + b"9" * 5000 + b"}", 400, "JSON Parse error"),
    "a large number": (b'{"inputs": ' + b"9" * 400 + b"}", 400, "JSON Parse error"),
    "a number of fifty digits": (
        b'{"inputs": ' + b"9" * 50 + b"}",
        400,
        "not of expected type: uint8",
    ),
    "too large a fraction": (b'{"inputs": 1e400}', 400, "JSON Parse error"),
    "too many names": (b'{"inputs": {' + b'"a":1,' * MAX_NAMES + b'"a":1}}', 400, "names"),
    "a number for a picture": (
        {"signature_name": "encoded", "instances": [3]},
        400,
        "Type: Number is not of expected type: string",
    ),
    "no base64": (
        {"signature_name": "encoded", "instances": [{"b64": "!"}]},
        400,
        "Unable to base64 decode",
    ),
    "no picture": ({"signature_name": "encoded", "instances": [{"b64": "AAAA"}]}, 400, ""),
    "too many values": (b'{"inputs": [' + b"1," * MAX_VALUES + b"1]}", 400, "are read"),
    "too long": (b'{"inputs": "' + b"1" * MAX_BODY_BYTES + b'"}', 413, "at most 4194304 are read"),
    "too long when unpacked": (zlib.compress(b" " * (MAX_BODY_BYTES + 1)), 429, "larger than max"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_mistakes_are_named(server: RunningServer, kind: str) -> None:
    body, code, words = REFUSED[kind]
    answered, answer = _post(server, body)
    assert answered == code
    assert words in answer["error"]
    assert len(answer["error"]) < 1100


PATHS = {
    "/v1/models/emotion_ai": (400, "Malformed request: POST /v1/models/emotion_ai"),
    "/v1/models/emotion_ai:classify": (501, "no model here has such a signature"),
    "/v1/models/other:predict": (404, "Servable not found"),
    "/v1/models/emotion_ai/labels/none:predict": (400, "none"),
}


@pytest.mark.parametrize("path", PATHS)
def test_wrong_paths_are_named(server: RunningServer, path: str) -> None:
    code, words = PATHS[path]
    answered, answer = _post(server, {"instances": FACES.tolist()}, path)
    assert answered == code
    assert words in answer["error"]


def _signature(dtype: int, *names: str) -> dict[str, Signature]:
    inputs = {name: InputSpec(f"{name}:0", dtype, None) for name in names}
    return {"serving_default": Signature(inputs, {}, is_batched=False)}


TYPES = {
    1: (b"[0.1, 1, -3e38, NaN, Infinity]", np.float32([0.1, 1, -3e38, np.nan, np.inf])),
    2: (b"[0.1, 1e300]", np.float64([0.1, 1e300])),
    3: (b"[-2147483648, 5]", np.int32([-2147483648, 5])),
    4: (b"[0, 255]", np.uint8([0, 255])),
    7: (b'["a", {"b64": "/w"}, {"b64": "/w=="}]', np.array([b"a", b"\xff", b"\xff"], object)),
    9: (b"[-9223372036854775808]", np.int64([-9223372036854775808])),
    10: (b"[true, false]", np.array([True, False])),
}


@pytest.mark.parametrize("dtype", TYPES)
def test_values_have_the_type_of_the_signature(dtype: int) -> None:
    text, expected = TYPES[dtype]
    request = read_request(parse_object(b'{"inputs": %s}' % text), _signature(dtype, "x"))
    tensor = request.message.inputs["x"]
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(read_tensor(tensor), expected)


@pytest.mark.parametrize(("dtype", "text"), [(1, "1e39"), (2, "9" * 400), (3, "2147483648")])
def test_numbers_that_do_not_fit_are_refused(dtype: int, text: str) -> None:
    with pytest.raises(StatusError):
        read_request(parse_object(b'{"inputs": [%s]}' % text.encode()), _signature(dtype, "x"))


def test_several_inputs_need_their_names() -> None:
    signatures = _signature(3, "a", "b")
    request = read_request(parse_object(b'{"instances": [{"a": 1, "b": [2]}]}'), signatures)
    assert read_tensor(request.message.inputs["a"]).tolist() == [1]
    assert read_tensor(request.message.inputs["b"]).tolist() == [[2]]
    for body in (b'{"instances": [1]}', b'{"inputs": [1]}'):
        with pytest.raises(StatusError, match="expecting an object"):
            read_request(parse_object(body), signatures)


def _outputs(**arrays: Any) -> Outputs:
    return Outputs("m", 1, "serving_default", arrays)


def test_answers_of_one_output_need_no_name_and_bytes_are_base64() -> None:
    request = read_request(parse_object(b'{"instances": [1, 2]}'), _signature(3, "a"))
    faces = np.array([b"\xff", b"a"], object)
    assert json.loads(request.write(_outputs(face_bytes=faces))) == {
        "predictions": [{"b64": "/w=="}, {"b64": "YQ=="}]
    }
    outputs = _outputs(face_bytes=faces, score=np.float32([0.2]))
    with pytest.raises(StatusError, match="inconsistent batch size: 1 expecting: 2"):
        request.write(outputs)
    by_name = read_request(parse_object(b'{"inputs": 1}'), _signature(3, "a"))
    assert by_name.write(outputs) == (
        '{"outputs": {"face_bytes": [{"b64": "/w=="}, {"b64": "YQ=="}], "score": [0.2]}}'
    )
