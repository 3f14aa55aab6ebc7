"""Attacks on a server or a console, for bench_attack.py: each lasts until its process ends.

python tests/benchmarks/attacks.py NAME ADDRESS
"""

import asyncio
import contextlib
import io
import itertools
import json
import os
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
from PIL import Image
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import WebSocketException

from emotion_ai.server.bounded_json import MAX_NAMES, MAX_VALUES
from emotion_ai.server.http_server import MAX_BODY_BYTES
from emotion_ai.server.inference_json import JSON_LENGTH
from emotion_ai.serving_api.messages import MODEL_NAME, PREDICTION_SERVICE, PredictRequest

PREDICT = f"/{PREDICTION_SERVICE}/Predict"
REST_PREDICT = f"/v1/models/{MODEL_NAME}:predict"
REST_INFER = f"/v2/models/{MODEL_NAME}/infer"
OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
]
STALLED_UPLOAD = b"POST /photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000000\r\n\r\nx"
Attack = Callable[[str], Awaitable[None]]


def request_for(shape: tuple[int, ...], **fields: Any) -> bytes:
    """A PredictRequest of pixels whose tensor has this shape and these fields."""
    request = PredictRequest()
    request.model_spec.name = MODEL_NAME
    tensor = request.inputs["images"]
    tensor.dtype = 4
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        if isinstance(value, bytes):
            setattr(tensor, name, value)
        else:
            getattr(tensor, name).extend(value)
    return bytes(request.SerializeToString())


async def repeat(address: str, count: int, data: bytes, timeout: float = 30.0) -> None:
    """Send a compressed request again and again, from some callers at once."""

    async def ask() -> None:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            call = channel.unary_unary(PREDICT)
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await call(data, timeout=timeout, compression=grpc.Compression.Gzip)

    await asyncio.gather(*(ask() for _ in range(count)))


async def watch(address: str) -> None:
    """1: hundreds of health watches, and calls whose message never comes."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        watches = [channel.unary_stream("/grpc.health.v1.Health/Watch")(b"") for _ in range(500)]
        for stream in watches:
            await stream.read()
        calls = [channel.stream_unary(PREDICT)() for _ in range(500)]
        await asyncio.sleep(3600)
        del calls


async def connect(address: str, said: tuple[bytes, ...] = (b"",)) -> None:
    """11, 12: connections that say nothing, or not enough, and are opened again and again."""
    host, _, port = address.rpartition(":")
    sockets: list[socket.socket] = []
    for words in itertools.cycle(said):
        with contextlib.suppress(OSError):
            sockets.append(socket.create_connection((host, int(port)), timeout=1))
            sockets[-1].sendall(words)
        if len(sockets) > 500:
            sockets.pop(0).close()
        await asyncio.sleep(0.005)


async def post(
    address: str, count: int, body: bytes, path: str = REST_PREDICT, header: str = ""
) -> None:
    """Send a body again and again, on some connections at once; a header ends its line."""
    sizes = f"Host: {address}\r\nContent-Length: {len(body)}\r\n{header}"
    head = f"POST {path} HTTP/1.1\r\n{sizes}\r\n"
    host, _, port = address.rpartition(":")

    async def ask() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(host, int(port))
                with contextlib.closing(writer):
                    while True:
                        writer.write(head.encode() + body)
                        answer = await reader.readuntil(b"\r\n\r\n")
                        length = re.search(rb"Content-Length: (\d+)", answer)
                        await reader.readexactly(int(length[1]) if length else 0)

    await asyncio.gather(*(ask() for _ in range(count)))


def largest_json() -> bytes:
    """As many faces as JSON may hold."""
    face = json.dumps(np.full((96, 96, 1), 200).tolist())
    faces = MAX_VALUES // (face.count(",") + face.count("[") + 1)
    return f'{{"instances": [{",".join([face] * faces)}]}}'.encode()


def most_faces(address: str) -> Awaitable[None]:
    """As many faces as a body may hold, as binary tensors."""
    size = 96 * 96
    faces = (MAX_BODY_BYTES - 1000) // size
    tensor = {
        "name": "images",
        "datatype": "UINT8",
        "shape": [faces, 96, 96, 1],
        "parameters": {"binary_data_size": faces * size},
    }
    text = json.dumps({"inputs": [tensor]}).encode()
    header = f"{JSON_LENGTH}: {len(text)}\r\n"
    return post(address, 4, text + bytes(faces * size), REST_INFER, header)


async def film(address: str) -> None:
    """12: cameras whose frames unpack to 64 million pixels."""
    frame = io.BytesIO()
    Image.new("L", (8000, 8000)).save(frame, "PNG")

    async def show() -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException):
                async with websocket(f"ws://{address}/camera", max_size=None) as camera:
                    while True:
                        await camera.send(frame.getvalue())
                        await camera.recv()
            await asyncio.sleep(0.1)

    await asyncio.gather(*(show() for _ in range(12)))


ATTACKS: dict[str, Attack] = {
    "1 watches and calls without a message": watch,
    "2 shapes of 100,000 dimensions": lambda a: repeat(a, 4, request_for((1,) * 100_000)),
    "2 a million typed values": lambda a: repeat(
        a, 4, request_for((1, 96, 96, 1), int_val=[1] * 1_000_000)
    ),
    "3 29,127 faces in 47 bytes": lambda a: repeat(a, 16, request_for((29_127, 96, 96, 1))),
    "3 1,024 faces, callers that leave": lambda a: repeat(
        a, 8, request_for((1024, 96, 96, 1)), 0.5
    ),
    "4 200 MB in 200 KB": lambda a: repeat(
        a, 6, request_for((1,), tensor_content=bytes(200 << 20))
    ),
    "4 15 MB in 15 KB": lambda a: repeat(a, 6, request_for((1,), tensor_content=bytes(15 << 20))),
    "11 silent connections": connect,
}
REST_ATTACKS: dict[str, Attack] = {
    "13 the largest JSON": lambda a: post(a, 4, largest_json()),
    "13 4 MB of JSON that is one string": lambda a: post(
        a, 4, b'{"inputs": "%s"}' % (b"A" * (MAX_BODY_BYTES - 14))
    ),
    "13 JSON of names": lambda a: post(
        a, 4, json.dumps({"inputs": dict.fromkeys(map(str, range(MAX_NAMES - 1)), 1)}).encode()
    ),
    "13 the most binary faces": most_faces,
    "13 JSON of long numbers": lambda a: post(
        a, 4, b'{"inputs": [%s]}' % b",".join([b"9" * 4300] * 970)
    ),
}
CONSOLE_ATTACKS: dict[str, Attack] = {
    "12 uploads that stall, silent sockets": lambda a: connect(a, (b"", STALLED_UPLOAD)),
    "12 cameras with 64 million pixels": film,
}


def main() -> None:
    """Attack until killed."""
    # Whoever is measured has the cores first.
    os.nice(5)
    name, address = sys.argv[1:]
    asyncio.run((ATTACKS | REST_ATTACKS | CONSOLE_ATTACKS)[name](address))


if __name__ == "__main__":
    main()
