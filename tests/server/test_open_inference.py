"""The Open Inference Protocol, over gRPC and HTTP, as tritonclient asks."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException

from support.server_calls import RunningServer

FACES = np.stack([np.full((96, 96, 1), value, np.uint8) for value in (10, 200)])
NAMES = ("emotion", "emotion_labels", "emotion_probabilities", "keypoints")
# What it asks by is installed on Linux alone.
triton_http = pytest.importorskip("tritonclient.http", exc_type=ImportError)
DOORS = {"grpc": tritonclient.grpc, "http": triton_http}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Any:
    return DOORS[request.param]


@pytest.fixture
def triton(door: Any, server: RunningServer) -> Iterator[Any]:
    address = server.rest if door is triton_http else server.address
    with door.InferenceServerClient(address) as client:
        yield client


def _as_dict(answer: Any) -> Any:
    if isinstance(answer, dict | list):
        return answer
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(answer, preserving_proto_field_name=True)


def _input(door: Any, values: NDArray, name: str = "images", datatype: str = "UINT8") -> Any:
    tensor = door.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def _pictures(*values: int) -> NDArray:
    files = []
    for value in values:
        file = io.BytesIO()
        Image.new("L", (96, 96), value).save(file, "PNG")
        files.append(file.getvalue())
    return np.array(files, object)


def _check(result: Any, expected: dict[str, NDArray]) -> None:
    for name, array in expected.items():
        np.testing.assert_array_equal(result.as_numpy(name), array)


def test_server_and_model_are_described(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    server = _as_dict(triton.get_server_metadata())
    assert server["name"] == "emotion-ai"
    assert "binary_tensor_data" in server["extensions"]
    model = _as_dict(triton.get_model_metadata("emotion_ai", "1"))
    assert {key: model[key] for key in ("name", "versions", "platform")} == {
        "name": "emotion_ai",
        "versions": ["1"],
        "platform": "tensorflow_savedmodel",
    }
    (images,) = model["inputs"]
    assert (images["name"], images["datatype"]) == ("images", "UINT8")
    assert list(map(int, images["shape"])) == [-1, 96, 96, 1]
    outputs = {o["name"]: (o["datatype"], list(map(int, o["shape"]))) for o in model["outputs"]}
    assert sorted(outputs) == list(NAMES)
    assert outputs["keypoints"] == ("FP32", [-1, 15, 2])
    assert outputs["emotion"] == ("BYTES", [-1])


@pytest.mark.parametrize("version", ["", "1"], ids=["newest", "named"])
def test_readiness_is_that_of_a_version(triton: Any, version: str) -> None:
    assert triton.is_model_ready("emotion_ai", version)
    assert not triton.is_model_ready("emotion_ai", "9")
    assert not triton.is_model_ready("other", version)


def test_answers_are_those_of_predict(door: Any, triton: Any, server: RunningServer) -> None:
    expected = server.client.predict_arrays(FACES).outputs
    result = triton.infer("emotion_ai", [_input(door, FACES)], request_id="a request")
    response = _as_dict(result.get_response())
    assert response["id"] == "a request"
    assert (response["model_name"], response["model_version"]) == ("emotion_ai", "1")
    assert sorted(output["name"] for output in response["outputs"]) == list(NAMES)
    _check(result, expected)


def test_outputs_come_as_asked(door: Any, triton: Any, server: RunningServer) -> None:
    expected = server.client.predict_arrays(FACES).outputs
    wanted = [door.InferRequestedOutput(name) for name in ("keypoints", "emotion")]
    result = triton.infer("emotion_ai", [_input(door, FACES)], "1", outputs=wanted)
    names = [output["name"] for output in _as_dict(result.get_response())["outputs"]]
    assert names == ["keypoints", "emotion"]
    assert result.as_numpy("emotion_labels") is None
    _check(result, {name: expected[name] for name in names})


def test_pictures_are_bytes_tensors_of_the_other_signature(
    door: Any, triton: Any, server: RunningServer
) -> None:
    expected = server.client.predict_arrays(FACES).outputs
    pictures = _input(door, _pictures(10, 200), "image_bytes", "BYTES")
    parameters = {"signature_name": "encoded"}
    _check(triton.infer("emotion_ai", [pictures], parameters=parameters), expected)


def test_no_faces_are_answered_with_none(door: Any, triton: Any) -> None:
    result = triton.infer("emotion_ai", [_input(door, FACES[:0])])
    assert result.as_numpy("keypoints").shape == (0, 15, 2)


def test_json_without_binary_tensors(server: RunningServer) -> None:
    expected = server.client.predict_arrays(FACES).outputs
    images = triton_http.InferInput("images", list(FACES.shape), "UINT8")
    images.set_data_from_numpy(FACES, binary_data=False)
    wanted = [triton_http.InferRequestedOutput(name, binary_data=False) for name in NAMES]
    with triton_http.InferenceServerClient(server.rest) as client:
        result = client.infer("emotion_ai", [images], outputs=wanted)
    for name in ("emotion_probabilities", "keypoints"):
        np.testing.assert_array_equal(result.as_numpy(name), expected[name])
    assert result.get_output("emotion")["data"] == [e.decode() for e in expected["emotion"]]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_packed_requests_are_unpacked(server: RunningServer, algorithm: str) -> None:
    images = _input(triton_http, FACES)
    with triton_http.InferenceServerClient(server.rest) as client:
        plain = client.infer("emotion_ai", [images])
        packed = client.infer("emotion_ai", [images], request_compression_algorithm=algorithm)
    np.testing.assert_array_equal(packed.as_numpy("keypoints"), plain.as_numpy("keypoints"))


def test_typed_contents_are_answered_with_typed_contents(server: RunningServer) -> None:
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    expected = server.client.predict_arrays(FACES).outputs
    request = service_pb2.ModelInferRequest(model_name="emotion_ai")
    images = request.inputs.add(name="images", datatype="UINT8", shape=FACES.shape)
    images.contents.uint_contents.extend(FACES.ravel().tolist())
    with tritonclient.grpc.grpc.insecure_channel(server.address) as channel:
        response = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert not response.raw_output_contents
    outputs = {output.name: output for output in response.outputs}
    keypoints = outputs["keypoints"]
    assert (keypoints.datatype, list(keypoints.shape)) == ("FP32", [2, 15, 2])
    values = np.float32(keypoints.contents.fp32_contents).reshape(2, 15, 2)
    np.testing.assert_array_equal(values, expected["keypoints"])
    assert list(outputs["emotion"].contents.bytes_contents) == expected["emotion"].tolist()


def test_an_answer_that_takes_too_long_is_not_waited_for(server: RunningServer) -> None:
    faces = _input(tritonclient.grpc, np.zeros((900, 96, 96, 1), np.uint8))
    with (
        tritonclient.grpc.InferenceServerClient(server.address) as client,
        pytest.raises(InferenceServerException, match="Deadline Exceeded"),
    ):
        client.infer("emotion_ai", [faces], client_timeout=0.0001)


def _faces(door: Any, *shape: int) -> list[Any]:
    return [_input(door, np.zeros(shape, np.uint8))]


def _twice(door: Any) -> list[Any]:
    return [*_faces(door, 1, 96, 96, 1), *_faces(door, 1, 96, 96, 1)]


def _other_name(door: Any) -> list[Any]:
    return [_input(door, FACES, "faces")]


def _other_type(door: Any) -> list[Any]:
    return [_input(door, FACES.astype(np.float32), "images", "FP32")]


def _unknown_type(door: Any) -> list[Any]:
    return [_input(door, FACES.astype(np.float16), "images", "FP16")]


Call = tuple[Callable[[Any], list[Any]], dict[str, Any], str]
MISTAKES: dict[str, Call] = {
    "another shape": (lambda d: _faces(d, 2, 48, 48, 1), {}, r"must have shape \[\?,96,96,1\]"),
    "fewer dimensions": (lambda d: _faces(d, 96, 96), {}, "must have shape"),
    "too many faces": (lambda d: _faces(d, 1025, 1, 1, 1), {}, "must have shape"),
    "an input twice": (_twice, {}, "twice"),
    "another input": (_other_name, {}, "images"),
    "another type": (_other_type, {}, "to be uint8 but float is provided"),
    "an unknown type": (_unknown_type, {}, "datatype 'FP16'; expected one of BOOL"),
    "no inputs": (lambda d: [], {}, "images"),
    "another model": (lambda d: _faces(d, 1, 96, 96, 1), {"model_name": "other"}, "not found"),
    "another version": (
        lambda d: _faces(d, 1, 96, 96, 1),
        {"model_version": "9"},
        r"Specific\(emotion_ai, 9\)",
    ),
    "an unknown label": (
        lambda d: _faces(d, 1, 96, 96, 1),
        {"model_version": "canary"},
        "Unrecognized servable version label: canary",
    ),
    "another signature": (
        lambda d: _faces(d, 1, 96, 96, 1),
        {"parameters": {"signature_name": "no"}},
        'Serving signature key "no" not found',
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_are_named(door: Any, triton: Any, kind: str) -> None:
    inputs, options, words = MISTAKES[kind]
    with pytest.raises(InferenceServerException, match=words):
        triton.infer(**{"model_name": "emotion_ai", "inputs": inputs(door)} | options)


def test_unknown_outputs_and_what_triton_has_besides_are_named(door: Any, triton: Any) -> None:
    images = _input(door, FACES)
    with pytest.raises(InferenceServerException, match="output tensor alias not found"):
        triton.infer("emotion_ai", [images], outputs=[door.InferRequestedOutput("age")])
    wanted = door.InferRequestedOutput("emotion_probabilities", class_count=2)
    with pytest.raises(InferenceServerException, match="no classification here"):
        triton.infer("emotion_ai", [images], outputs=[wanted])
    images.set_shared_memory("region", FACES.nbytes)
    with pytest.raises(InferenceServerException, match="no shared_memory_region here"):
        triton.infer("emotion_ai", [images])
