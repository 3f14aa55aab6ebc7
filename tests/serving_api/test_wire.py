"""Messages of too many parts are refused before they are parsed; many values are no parts."""

import pytest

from emotion_ai.serving_api.messages import PredictRequest, PredictResponse
from emotion_ai.serving_api.wire import MAX_FIELDS, check_fields

TOO_MANY = MAX_FIELDS + 1


def _inputs(count: int) -> bytes:
    request = PredictRequest()
    for number in range(count):
        request.inputs[str(number)].dtype = 4
    return bytes(request.SerializeToString())


def _outputs(count: int) -> bytes:
    response = PredictResponse()
    for number in range(count):
        response.outputs[str(number)].dtype = 4
    return bytes(response.SerializeToString())


def _values(name: str, values: list[object], *shape: int) -> bytes:
    request = PredictRequest()
    for size in shape or (len(values),):
        request.inputs["images"].tensor_shape.dim.add(size=size)
    getattr(request.inputs["images"], name).extend(values)
    return bytes(request.SerializeToString())


def _content(content: bytes, *shape: int) -> bytes:
    request = PredictRequest()
    for size in shape:
        request.inputs["images"].tensor_shape.dim.add(size=size)
    request.inputs["images"].tensor_content = content
    return bytes(request.SerializeToString())


def _dimensions(count: int) -> bytes:
    request = PredictRequest()
    shape = request.inputs["images"].tensor_shape
    for _ in range(count):
        shape.dim.add(size=1)
    return bytes(request.SerializeToString())


def _filter(name: str, count: int) -> bytes:
    return bytes(PredictRequest(output_filter=[name] * count).SerializeToString())


REFUSED = {
    "inputs": _inputs(TOO_MANY),
    "outputs": _outputs(TOO_MANY),
    "strings": _values("string_val", [b"face"] * TOO_MANY),
    "dimensions": _dimensions(100_000),
    # Below the limit of each; a parser puts them together.
    "dimensions in parts": _dimensions(15_000) * 3,
    "output names": _filter("emotion", TOO_MANY),
    "one long name": _filter("x" * (64 * 1024 + 1), 1),
    # Groups, which protobuf has given up, nest without a length.
    "groups": b"\x0b" * 40_000 + b"\x0c" * 40_000,
}

TAKEN = {
    "pixels": _values("int_val", [255] * 1_000_000),
    "numbers": _values("float_val", [0.5] * 1_000_000),
    "pictures": _values("string_val", [bytes(1 << 20)] * 3),
    "names": _values("string_val", [b"happy"] * 12_000),
    "no message": b"\xff" * 100_000,
}


@pytest.mark.parametrize("message", REFUSED)
def test_messages_of_too_many_parts_are_refused(message: str) -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_FIELDS} fields"):
        check_fields(REFUSED[message])


@pytest.mark.parametrize("message", TAKEN)
def test_messages_of_many_values_are_taken(message: str) -> None:
    """Whatever is no message is for the parser to refuse."""
    assert len(TAKEN[message]) > 64 * 1024
    check_fields(TAKEN[message])


@pytest.mark.parametrize("shape", [(1, 96, 96, 1), (0,), (1,) * 255, (-1,)])
def test_more_values_than_the_shape_holds_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="more values than the shape holds"):
        check_fields(_values("int_val", [1] * 1_000_000, *shape))
    with pytest.raises(ValueError, match="more values than the shape holds"):
        check_fields(_content(bytes(1_000_000), *shape))
    # Negative numbers take ten bytes each.
    check_fields(_values("int_val", [-1] * 9216, 1, 96, 96, 1))
    check_fields(_content(bytes(16 * 9216), 1, 96, 96, 1))


def test_small_messages_are_taken_whatever_is_in_them() -> None:
    check_fields(_filter("x", 20_000))
