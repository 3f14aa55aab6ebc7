"""What one request may cost: rows, pixels, bytes under way; and nobody works for a lost caller."""

import asyncio
import contextlib
import io
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.server import prediction_service
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.configuration import ModelPlan
from emotion_ai.server.errors import StatusError
from emotion_ai.server.metrics import Metrics
from emotion_ai.server.picture_cost import MAX_PIXELS, count_pixels
from emotion_ai.server.predict_request import parse_request
from emotion_ai.server.prediction_service import Limits, PredictionService
from emotion_ai.server.rpc import Arrivals
from emotion_ai.server.signature import InputSpec, Signature
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import PredictRequest, PredictResponse
from emotion_ai.serving_api.tensors import read_tensor

_IMAGES = Signature({"images": InputSpec("images:0", 4, (-1, 2, 2, 1))}, {"sums": "sums:0"}, True)
_ENCODED = Signature({"image_bytes": InputSpec("bytes:0", 7, (-1,))}, {"sums": "sums:0"}, True)
_SIGNATURES = {"serving_default": _IMAGES, "encoded": _ENCODED}


def _request(rows: int, values: list[int]) -> Any:
    """Some rows of four pixels; the last of the values stands for all that follow."""
    request = PredictRequest()
    request.model_spec.name = "m"
    tensor = request.inputs["images"]
    tensor.dtype = 4
    for size in (rows, 2, 2, 1):
        tensor.tensor_shape.dim.add(size=size)
    tensor.int_val.extend(values)
    return request


def _encoded(rows: int, pictures: list[bytes]) -> Any:
    request = PredictRequest()
    request.model_spec.signature_name = "encoded"
    tensor = request.inputs["image_bytes"]
    tensor.dtype = 7
    tensor.tensor_shape.dim.add(size=rows)
    tensor.string_val.extend(pictures)
    return request


class _Model:
    """Sums the pixels of each row; counts its runs, each of which waits until it may go on."""

    signatures = _SIGNATURES

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.started = threading.Semaphore(0)
        self.may_go_on = threading.Event()
        self.piece_s = 0.0

    def runtime(self, signature: Signature) -> str:
        return "TF1"

    def run(self, signature: Signature, inputs: dict[str, NDArray]) -> dict[str, NDArray]:
        images = inputs["images"]
        self.batches.append(len(images))
        self.started.release()
        assert self.may_go_on.wait(60)
        time.sleep(self.piece_s)
        return {"sums": images.sum(axis=(1, 2, 3), dtype=np.int32)}


@contextlib.asynccontextmanager
async def _served(model: _Model, limits: Limits, threads: int) -> AsyncIterator[Any]:
    """Yields a gRPC callable for Predict."""
    manager: VersionManager[Any] = VersionManager(lambda base_path, version: model)
    manager.apply([ModelPlan("m", "/m", (1,), {})])
    policy = BatchPolicy(4, 0.0, 100, threads, max_execution_batch_size=6)
    service = PredictionService(manager, policy, Metrics(), limits)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service.handler(Arrivals(1 << 20)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict",
                request_serializer=PredictRequest.SerializeToString,
                response_deserializer=PredictResponse.FromString,
            )
    finally:
        model.may_go_on.set()
        await server.stop(None)


def _run(
    test: Callable[[Any, _Model], Any], limits: Limits | None = None, threads: int = 1
) -> None:
    async def run() -> None:
        model = _Model()
        async with _served(model, limits or Limits(100, 1 << 20), threads) as predict:
            await test(predict, model)

    asyncio.run(run())


def test_large_request_runs_in_pieces() -> None:
    async def test(predict: Any, model: _Model) -> None:
        model.may_go_on.set()
        response = await predict(_request(10, [1, 2, 3, 4, 5, 6, 7, 8, 100]), timeout=60)
        assert read_tensor(response.outputs["sums"]).tolist() == [10, 26, *[400] * 8]
        assert model.batches == [6, 4]

    _run(test)


def test_small_request_comes_before_the_next_piece_of_a_large_one() -> None:
    async def test(predict: Any, model: _Model) -> None:
        model.piece_s = 0.02
        large = asyncio.ensure_future(predict(_request(1000, [1]), timeout=60))
        await asyncio.to_thread(model.started.acquire)
        small = asyncio.ensure_future(predict(_request(1, [9]), timeout=60))
        model.may_go_on.set()
        response = await small
        assert read_tensor(response.outputs["sums"]).tolist() == [36]
        assert not large.done()

    _run(test)


def test_work_stops_when_the_caller_has_gone() -> None:
    async def test(predict: Any, model: _Model) -> None:
        call = predict(_request(1000, [1]), timeout=60)
        reading = asyncio.ensure_future(call.code())
        await asyncio.to_thread(model.started.acquire)
        call.cancel()
        assert await reading == grpc.StatusCode.CANCELLED
        # By then the server knows it too: the call after it is answered.
        model.may_go_on.set()
        await predict(_request(1, [9]), timeout=60)
        await predict(_request(1, [9]), timeout=60)
        assert len(model.batches) < 10

    _run(test)


def test_piece_of_a_caller_that_has_gone_keeps_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next caller's piece does not take the other, which is left to small requests."""
    monkeypatch.setattr(prediction_service, "_QUIET_S", 600.0)

    async def test(predict: Any, model: _Model) -> None:
        model.may_go_on.set()
        await predict(_request(1, [9]), timeout=60)
        model.may_go_on.clear()
        assert model.started.acquire()
        gone = predict(_request(1000, [1]), timeout=60)
        reading = asyncio.ensure_future(gone.code())
        await asyncio.to_thread(model.started.acquire)
        gone.cancel()
        await reading
        large = asyncio.ensure_future(predict(_request(10, [1]), timeout=60))
        small = asyncio.ensure_future(predict(_request(1, [9]), timeout=60))
        assert await asyncio.to_thread(model.started.acquire, timeout=60)
        assert model.batches == [1, 6, 1]
        model.may_go_on.set()
        await asyncio.gather(small, large)
        assert model.batches == [1, 6, 1, 6, 4]

    _run(test, threads=2)


def test_work_stops_at_the_deadline() -> None:
    async def test(predict: Any, model: _Model) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await predict(_request(1000, [1]), timeout=0.3)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        model.may_go_on.set()
        await predict(_request(1, [9]), timeout=60)
        assert len(model.batches) < 10

    _run(test)


def test_bytes_under_way_have_one_limit() -> None:
    async def test(predict: Any, model: _Model) -> None:
        data = [1] * 3000
        first = asyncio.ensure_future(predict(_request(1000, data), timeout=60))
        await asyncio.to_thread(model.started.acquire)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await predict(_request(1000, data), timeout=60)
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert raised.value.details() == "requests of 5000 bytes are in progress"
        small = asyncio.ensure_future(predict(_request(1, [9]), timeout=60))
        model.may_go_on.set()
        await asyncio.gather(first, small)
        # What has been answered counts no more.
        await predict(_request(1000, data), timeout=60)

    _run(test, Limits(100, 5000))


@pytest.mark.parametrize("rows", [1025, 29_127])
def test_rows_of_a_request_are_limited(rows: int) -> None:
    request = _request(rows, [])
    assert request.ByteSize() < 60
    with pytest.raises(StatusError, match=rf"^Task size {rows} is larger than .* 1024$") as raised:
        parse_request(_SIGNATURES, request)
    assert raised.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert parse_request(_SIGNATURES, _request(1024, [])).rows == 1024


def _picture(kind: str, width: int, height: int, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 50).save(buffer, kind, **options)
    return buffer.getvalue()


def test_pixels_are_counted_by_the_header() -> None:
    frames = [Image.new("L", (20, 10), shade) for shade in (0, 90, 180)]
    animation = io.BytesIO()
    frames[0].save(animation, "GIF", save_all=True, append_images=frames[1:])
    pictures = [
        _picture("PNG", 30, 20),
        _picture("JPEG", 50, 40),
        _picture("JPEG", 50, 40, progressive=True),
        _picture("JPEG", 50, 40, exif=Image.Exif().tobytes(), icc_profile=bytes(200_000)),
        animation.getvalue(),
        b"no picture",
        b"\xff\xd8\xff" + bytes(100),
    ]
    assert count_pixels(pictures) == [600, 2000, 2000, 2000, 600, 0, 1 << 24]


def test_scans_of_a_progressive_picture_count() -> None:
    data = _picture("JPEG", 50, 40, progressive=True)
    start = data.rindex(b"\xff\xda")
    many = data[:start] + data[start:-2] * 1000 + data[-2:]
    assert count_pixels([many])[0] > 50 * 2000


def test_decoded_pixels_of_a_request_are_limited() -> None:
    data = bytearray(_picture("PNG", 8, 8))
    data[16:24] = (4096).to_bytes(4, "big") * 2
    picture = bytes(data)
    assert parse_request(_SIGNATURES, _encoded(8, [picture])).rows == 8
    # One picture stands for all nine.
    with pytest.raises(StatusError, match=f"at most {MAX_PIXELS} are decoded") as raised:
        parse_request(_SIGNATURES, _encoded(9, [picture]))
    assert raised.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_pieces_have_the_pixels_of_one_large_picture() -> None:
    large, small = bytearray(_picture("PNG", 8, 8)), _picture("PNG", 8, 8)
    large[16:24] = (4096).to_bytes(4, "big") * 2
    pictures = [small, small, bytes(large), bytes(large), small, small, small, small]
    parsed = parse_request(_SIGNATURES, _encoded(8, pictures))
    assert list(parsed.pieces(3)) == [(0, 2), (2, 3), (3, 4), (4, 7), (7, 8)]


def test_inputs_of_different_rows_are_refused() -> None:
    two = Signature(
        {"a": InputSpec("a:0", 4, (-1,)), "b": InputSpec("b:0", 4, (-1,))}, {"c": "c:0"}, True
    )
    request = PredictRequest()
    for name, rows in (("a", 2), ("b", 3)):
        request.inputs[name].dtype = 4
        request.inputs[name].tensor_shape.dim.add(size=rows)
    with pytest.raises(StatusError, match="must have equal 0th-dimension size"):
        parse_request({"serving_default": two}, request)


def test_messages_of_errors_are_cut() -> None:
    error = StatusError(grpc.StatusCode.NOT_FOUND, "x" + "ä" * 600)
    assert error.message == "x" + "ä" * 511 + "...TRUNCATED"
    assert StatusError(grpc.StatusCode.NOT_FOUND, "x" * 1024).message == "x" * 1024
