"""ModelInferRequests that no client would send, and what they cost."""

from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

from emotion_ai.server.bounded_json import MAX_VALUES
from emotion_ai.server.errors import StatusError
from emotion_ai.server.inference_request import model_spec, parse_infer
from emotion_ai.server.predict_request import Outputs
from emotion_ai.serving_api.messages import ModelInferRequest, ModelInferResponse
from emotion_ai.serving_api.tensors import read_tensor
from emotion_ai.serving_api.wire import MAX_FIELDS

TYPES = {
    "BOOL": (np.array([True, False]), "bool_contents"),
    "UINT8": (np.uint8([0, 255]), "uint_contents"),
    "INT32": (np.int32([-(2**31), 2**31 - 1]), "int_contents"),
    "INT64": (np.int64([-(2**63), 2**63 - 1]), "int64_contents"),
    "FP32": (np.float32([0.1, np.nan]), "fp32_contents"),
    "FP64": (np.float64([0.1, np.inf]), "fp64_contents"),
    "BYTES": (np.array([b"\xff\x00", b""], object), "bytes_contents"),
}


def _request(*raw: bytes, **tensor: Any) -> Any:
    request = ModelInferRequest(model_name="m", id="i", raw_input_contents=raw)
    request.inputs.add(**{"name": "x", "datatype": "UINT8", "shape": [2]} | tensor)
    return request


def _parse(request: Any) -> Any:
    return parse_infer(bytes(request.SerializeToString()))


@pytest.mark.parametrize("datatype", TYPES)
def test_values_go_in_and_out_in_both_forms(datatype: str) -> None:
    array, field = TYPES[datatype]
    typed = _request(datatype=datatype, contents={field: array.tolist()})
    incoming = _parse(typed)
    np.testing.assert_array_equal(read_tensor(incoming.message.inputs["x"]), array)
    outputs = Outputs("m", 3, "serving_default", {"y": array})
    response = ModelInferResponse.FromString(incoming.write(outputs))
    assert (response.model_version, response.id) == ("3", "i")
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", datatype, [2])
    values = getattr(output.contents, field)
    np.testing.assert_array_equal(np.array(list(values), array.dtype), array)
    parts = [bytes([len(e), 0, 0, 0]) + e for e in array] if datatype == "BYTES" else []
    raw = _parse(_request(b"".join(parts) or array.tobytes(), datatype=datatype))
    np.testing.assert_array_equal(read_tensor(raw.message.inputs["x"]), array)
    response = ModelInferResponse.FromString(raw.write(outputs))
    assert response.raw_output_contents == [b"".join(parts) or array.tobytes()]


def _many_parameters() -> Any:
    request = _request(b"ab")
    for number in range(MAX_FIELDS):
        request.parameters[f"{number}"].int64_param = 1
    return request


MISTAKES = {
    "fewer bytes": (_request(b"a"), "1 bytes do not fit shape [2] of UINT8"),
    "bytes for another input": (_request(b"ab", b"ab"), "2 raw_input_contents for 1 inputs"),
    "both forms": (_request(b"ab", contents={"uint_contents": [1, 2]}), "beside"),
    "no values": (_request(), "0 values in uint_contents"),
    "values of another type": (_request(contents={"int_contents": [1, 2]}), "0 values in uint"),
    "a value that is no byte": (_request(contents={"uint_contents": [1, 256]}), "256 is no UINT8"),
    "a size below zero": (_request(b"ab", shape=[-2]), "none below zero"),
    "sizes whose product is small": (_request(b"ab", shape=[-1, -2]), "none below zero"),
    "more elements than any list has": (_request(b"", shape=[2**62] * 4), "67108864 elements"),
    "many dimensions": (_request(b"ab", shape=[1] * 300), "at most 32 sizes"),
    "an element cut off": (
        _request(b"\x05\x00\x00\x00abc", datatype="BYTES", shape=[1]),
        "are not 1 BYTES elements",
    ),
    "an element more": (_request(bytes(12), datatype="BYTES"), "are not 2 BYTES elements"),
    "an element less": (_request(bytes(4), datatype="BYTES"), "are not 2 BYTES elements"),
    "elements without values": (
        _request(bytes(4 * MAX_FIELDS + 4), datatype="BYTES", shape=[MAX_FIELDS + 1]),
        "at most 16384 BYTES elements",
    ),
    "many values": (
        _request(contents={"uint_contents": [1] * (MAX_VALUES + 1)}, shape=[MAX_VALUES + 1]),
        "as raw_input_contents",
    ),
    "many long values": (
        _request(datatype="INT64", contents={"int64_contents": [-1] * (MAX_VALUES + 1)}),
        "more than 131072 values",
    ),
    "many texts": (
        _request(datatype="BYTES", contents={"bytes_contents": [b"face"] * MAX_FIELDS}),
        "more than 16384 fields",
    ),
    "many raw contents": (_request(*[b"face"] * MAX_FIELDS), "more than 16384 fields"),
    "many parameters": (_many_parameters(), "more than 16384 fields"),
    "many outputs": (
        ModelInferRequest(outputs=[{"name": "emotion"}] * 10_000),
        "more than 64 KiB beside",
    ),
    "a long name": (_request(b"ab", name="x" * 70_000), "more than 64 KiB beside"),
    "a datatype of many characters": (
        _request(b"ab", datatype="x" * 9999),
        "'xxxxxxxxxxxxxxxxxxxx'",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_named(kind: str) -> None:
    request, words = MISTAKES[kind]
    with pytest.raises(StatusError) as caught:
        _parse(request)
    assert caught.value.code == StatusCode.INVALID_ARGUMENT
    assert words in caught.value.message


def test_large_raw_contents_are_taken() -> None:
    content = bytes(10 << 20)
    incoming = _parse(_request(content, shape=[len(content)]))
    assert incoming.message.inputs["x"].tensor_content == content


VERSIONS = {"newest": "", "number": "7", "zeros": "007", "label": "stable", "long": "9" * 30}


@pytest.mark.parametrize("kind", VERSIONS)
def test_a_version_is_a_number_or_a_label(kind: str) -> None:
    spec = model_spec("m", VERSIONS[kind])
    number = spec.version.value if spec.HasField("version") else None
    expected = {"newest": (None, ""), "number": (7, ""), "zeros": (7, "")}
    assert (number, spec.version_label) == expected.get(kind, (None, VERSIONS[kind]))
