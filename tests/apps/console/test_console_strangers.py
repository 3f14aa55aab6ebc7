"""What strangers send to the console, and what foreign model servers answer it."""

import contextlib
import io
import json
import socket
import stat
import struct
import threading
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from websockets.sync.client import connect

from support.console_process import Console, photo, running_console
from support.fake_prediction_server import fake_prediction_server

HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
# Each is wrong in another place, and reset once it is sent.
GARBAGE = {
    "nothing": b"",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\xff\r\n\r\n",
    "half a head": b"GET /" + HOST,
    "half a photo": b"POST /photo" + HOST + b"Content-Length: 100000\r\n\r\n" + bytes(70_000),
    "a bad chunk": b"POST /photo" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" * 2,
    "a bad chunk later": b"GET /" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nzz\r\n",
    "two hosts": b"GET /" + HOST + b"Host: localhost\r\n\r\n",
    "NUL in a path": b"GET /%00" + HOST + b"\r\n",
    "a long path": b"GET /" + b"a" * 5000 + HOST + b"\r\n",
    "a long head": b"GET /" + HOST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "no upgrade": b"GET /camera" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "an upgrade of a POST": (
        b"POST /camera" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    ),
    "an upgrade with many headers": (
        b"GET /camera"
        + HOST
        + b"Connection: upgrade\r\nUpgrade: websocket\r\n"
        + b"X: y\r\n" * 500
        + b"\r\n"
    ),
    "another upgrade": b"GET /" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
}
HANDSHAKE = (
    HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
# A frame has a first byte, a length with the bit for its mask, and the mask; see RFC 6455.
FRAMES = {
    "text that is not UTF-8": b"\x81\x82\0\0\0\0\xff\xfe",
    "no frame": b"\xff\x80\0\0\0\0",
    "a frame without a mask": b"\x82\x01x",
    "half a frame": b"\x82\xfe\x10\x00\0\0\0\0abc",
    "a continuation of nothing": b"\x00\x81\0\0\0\0x",
    "a bad close": b"\x88\x81\0\0\0\0x",
}
GARBAGE |= {"a socket for a file": b"GET /page.js" + HANDSHAKE}


def address_of(console: Console) -> tuple[str, int]:
    host, _, port = console.url.removeprefix("http://").rpartition(":")
    return host.strip("[]"), int(port)


def reset(connection: socket.socket) -> None:
    """Close so that the other side is told of an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def send_parts(console: Console, parts: Sequence[bytes]) -> None:
    """Send something, the next part after an answer to the one before, and reset."""
    connection = socket.create_connection(address_of(console), timeout=60)
    with contextlib.suppress(OSError):
        for part in parts:
            connection.sendall(part)
            connection.settimeout(0.3)
            connection.recv(65536)
    reset(connection)


def ask(console: Console, path: str, body: bytes | None = None) -> Any:
    connection = HTTPConnection(*address_of(console), timeout=60)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return json.load(response)


def exchange(console: Console, frame: bytes) -> Any:
    url = console.url.replace("http://", "ws://") + "/camera"
    with connect(url, proxy=None) as camera:
        camera.send(frame)
        return json.loads(camera.recv(60))


@contextlib.contextmanager
def console_of(address: str, *arguments: str) -> Iterator[Console]:
    with running_console("--port=0", "--server", address, *arguments) as console:
        yield console


def test_garbage_and_resets_write_nothing() -> None:
    with fake_prediction_server() as server, console_of(server.address) as console:
        sockets = {name: (b"GET /camera" + HANDSHAKE, frame) for name, frame in FRAMES.items()}
        for name, parts in ({name: (sent,) for name, sent in GARBAGE.items()} | sockets).items():
            send_parts(console, parts)
            assert ask(console, "/state")["status"] == "ready", name
        assert len(ask(console, "/photo", photo())["faces"]) == 2
        console.process.terminate()
        _, errors = console.process.communicate(timeout=60)
    assert errors == ""
    assert console.process.returncode == 0


def test_head_that_no_socket_can_have_ends_at_once() -> None:
    with console_of("127.0.0.1:1") as console:
        connection = socket.create_connection(address_of(console), timeout=60)
        connection.sendall(GARBAGE["an upgrade with many headers"])
        with connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_stalled_uploads_and_silent_connections_stop_nobody() -> None:
    with fake_prediction_server() as server, console_of(server.address) as console:
        head = b"POST /photo" + HOST + b"Content-Length: 60000000\r\n\r\nx"
        stalled = []
        for data in (head, b"", head, b"GET /") * 25:
            stalled.append(socket.create_connection(address_of(console), timeout=60))
            stalled[-1].sendall(data)
        assert ask(console, "/state")["status"] == "ready"
        assert len(ask(console, "/photo", photo())["faces"]) == 2
        assert len(exchange(console, photo())["faces"]) == 2
        # Nor does it wait for them when it ends.
        console.process.terminate()
        assert console.process.communicate(timeout=60)[1] == ""
        for connection in stalled:
            connection.close()


def picture(width: int, height: int) -> bytes:
    data = io.BytesIO()
    Image.new("1", (width, height)).save(data, "PNG")
    return data.getvalue()


def test_frames_have_limits_and_cameras_share_the_console() -> None:
    with fake_prediction_server() as server, console_of(server.address) as console:
        error = exchange(console, picture(8000, 8000))
        assert error["error"].startswith("8000x8000 pixels; at most 4,000,000 can be read")
        assert error["again"] is False
        answers: list[Any] = []
        barrier = threading.Barrier(13, timeout=60)

        def film() -> None:
            barrier.wait()
            answers.append(exchange(console, picture(1000, 1000)))

        cameras = [threading.Thread(target=film) for _ in range(12)]
        for camera in cameras:
            camera.start()
        barrier.wait()
        assert len(ask(console, "/photo", photo())["faces"]) == 2
        for camera in cameras:
            camera.join(60)
        assert [(answer["width"], answer["faces"]) for answer in answers] == [(1000, [])] * 12


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_console_listens_on_ipv6(host: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with fake_prediction_server() as server, console_of(server.address, "--host", host) as console:
        assert console.url.startswith("http://[::1]:")
        assert ask(console, "/state")["status"] == "ready"
        assert len(ask(console, "/photo", photo())["faces"]) == 2
        url = console.url.replace("http://", "ws://") + "/camera"
        with connect(url, origin=console.url, proxy=None) as camera:
            camera.send(photo())
            assert len(json.loads(camera.recv(60))["faces"]) == 2


def test_names_of_emotions_are_cleaned_and_short() -> None:
    def rename(outputs: dict[str, NDArray]) -> None:
        names = ["\x1b[31m\u202eyppah\n", "x" * 100_000]
        count = len(outputs["emotion"])
        outputs["emotion"] = np.array([names[0].encode()] * count, object)
        outputs["emotion_labels"] = np.array([[name.encode() for name in names]] * count, object)

    with fake_prediction_server(alter=rename) as server, console_of(server.address) as console:
        face = ask(console, "/photo", photo())["faces"][0]
        assert face["emotion"] == "\ufffd[31m\ufffdyppah"
        assert list(face["probabilities"]) == ["\ufffd[31m\ufffdyppah", "x" * 40]


def not_a_number(outputs: dict[str, NDArray]) -> None:
    outputs["emotion_probabilities"][0] = np.nan


def infinite(outputs: dict[str, NDArray]) -> None:
    outputs["keypoints"][0, 0, 0] = np.inf


def fewer_keypoints(outputs: dict[str, NDArray]) -> None:
    outputs["keypoints"] = outputs["keypoints"][:, :14]


def no_emotions(outputs: dict[str, NDArray]) -> None:
    for name in ("emotion_probabilities", "emotion_labels"):
        outputs[name] = outputs[name][:, :0]


def numbers_for_names(outputs: dict[str, NDArray]) -> None:
    outputs["emotion"] = np.zeros(len(outputs["emotion"]), np.float32)


def one_number_for_all(outputs: dict[str, NDArray]) -> None:
    outputs["emotion_probabilities"] = np.float32(1)


@pytest.mark.parametrize(
    "alter",
    [
        not_a_number,
        infinite,
        fewer_keypoints,
        no_emotions,
        numbers_for_names,
        one_number_for_all,
    ],
)
def test_answers_of_another_model_are_errors(alter: Any) -> None:
    with fake_prediction_server(alter=alter) as server, console_of(server.address) as console:
        for _ in range(2):
            error = exchange(console, photo())["error"]
            assert error.startswith(f"server {server.address}: its model's outputs are not those")
        console.process.terminate()
        assert console.process.communicate(timeout=60)[1] == ""


def test_console_writes_no_picture(tmp_path: Path) -> None:
    with running_console("--port=0", TMPDIR=str(tmp_path), HOME=str(tmp_path)) as console:
        # More than what some libraries hold in memory.
        large = photo() + bytes(3_000_000)
        assert len(ask(console, "/photo", large)["faces"]) == 2
        assert len(exchange(console, photo())["faces"]) == 2
        # Nothing but an empty file, which says that the console's folder is in use.
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) == 0
        for path in files:
            assert not stat.S_IMODE(path.parent.stat().st_mode) & 0o077
    assert list(tmp_path.iterdir()) == []
