"""The console as a process: its requests, limits and signals."""

import json
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from support.command_line import assert_refused, emotion_ai
from support.console_process import PLACES, SIDE, Console, photo, running_console
from support.fake_prediction_server import fake_prediction_server

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def console_with_fake_model() -> Iterator[Console]:
    """Run a console whose model server predicts "happy" for every face."""
    with (
        fake_prediction_server() as server,
        running_console("--port=0", "--server", server.address) as running,
    ):
        yield running


def send_request(
    console: Console, method: str, path: str, body: bytes | None = None, **headers: str
) -> HTTPResponse:
    host = console.url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=60)
    # The default Host would be sent as well.
    connection.putrequest(method, path, skip_host=True)
    all_headers = {"Host": host} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    if body is not None:
        all_headers = {"Content-Length": str(len(body))} | all_headers
    for name, value in all_headers.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    return connection.getresponse()


def connect_camera(console: Console, origin: str, **headers: str) -> ClientConnection:
    url = console.url.replace("http://", "ws://") + "/camera"
    return connect(url, origin=origin, additional_headers=headers, proxy=None)


def exchange(socket: ClientConnection, message: bytes | str) -> dict[str, Any]:
    socket.send(message)
    return json.loads(socket.recv(60))


def test_photo_numbers_faces_from_left_to_right(console_with_fake_model: Console) -> None:
    response = send_request(
        console_with_fake_model, "POST", "/photo", photo(), Origin=console_with_fake_model.url
    )
    assert response.status == 200
    answer = json.load(response)
    assert (answer["width"], answer["height"]) == (600, 360)
    assert [face["number"] for face in answer["faces"]] == [1, 2]
    for face, (left, _) in zip(answer["faces"], PLACES, strict=True):
        assert face["emotion"] == "happy"
        assert left <= face["box"]["left"] <= left + SIDE / 2


def test_origin_guard_rejects_requests_of_other_sites(console_with_fake_model: Console) -> None:
    port = console_with_fake_model.url.rpartition(":")[2]
    assert send_request(console_with_fake_model, "GET", "/").status == 200
    # Through a tunnel the port may differ.
    for own in (f"localhost:{port}", "localhost", "[::1]:9000", f"127.0.0.1:{port}"):
        assert send_request(console_with_fake_model, "GET", "/state", Host=own).status == 200
        assert (
            send_request(
                console_with_fake_model, "GET", "/state", Host=own, Origin=f"http://{own}"
            ).status
            == 200
        )
    for other in (f"console.example:{port}", "console.example", "127.0.0.1.example", "", "a b"):
        assert send_request(console_with_fake_model, "GET", "/", Host=other).status == 403, other
    for origin in (
        "http://console.example",
        f"https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "null",
        "",
    ):
        assert (
            send_request(console_with_fake_model, "POST", "/photo", photo(), Origin=origin).status
            == 403
        ), origin


def test_origin_guard_rejects_sockets_of_other_sites(console_with_fake_model: Console) -> None:
    with connect_camera(console_with_fake_model, console_with_fake_model.url) as socket:
        assert len(exchange(socket, photo())["faces"]) == 2
    for origin in ("http://console.example", "null", "http://127.0.0.1:1"):
        with (
            pytest.raises(InvalidStatus, match="403"),
            connect_camera(console_with_fake_model, origin),
        ):
            pass


def test_every_response_has_the_security_headers(console_with_fake_model: Console) -> None:
    for path in ("/", "/page.js", "/state", "/example", "/absent"):
        response = send_request(console_with_fake_model, "GET", path)
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self';"), path
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in response.headers
    page = send_request(console_with_fake_model, "GET", "/").read().decode()
    assert "http:" not in page
    assert "https:" not in page


def test_photo_checks_the_size_before_reading(console_with_fake_model: Console) -> None:
    # This body is never sent: the response must not wait for it.
    response = send_request(
        console_with_fake_model, "POST", "/photo", None, Content_Length=str(64 * 1024 * 1024 + 1)
    )
    assert response.status == 413
    assert "64 MiB" in json.load(response)["error"]
    # A chunked body has no known length.
    response = send_request(
        console_with_fake_model, "POST", "/photo", b"0\r\n\r\n", Transfer_Encoding="chunked"
    )
    assert response.status == 411
    for length in ("-1", "many"):
        assert (
            send_request(
                console_with_fake_model, "POST", "/photo", b"", Content_Length=length
            ).status
            == 400
        )
    assert send_request(console_with_fake_model, "POST", "/photo", photo()).status == 200


def test_camera_reports_bad_frames_and_continues(console_with_fake_model: Console) -> None:
    with connect_camera(console_with_fake_model, console_with_fake_model.url) as socket:
        for bad in (b"", b"no picture", photo()[:2000], "text"):
            error = exchange(socket, bad)
            assert "picture" in error["error"] or "cannot be read" in error["error"]
            assert error["again"] is False
        assert len(exchange(socket, photo())["faces"]) == 2
        # Too long: the connection is closed while the frame is still being sent.
        with pytest.raises(ConnectionClosedError):
            exchange(socket, bytes(5 * 1024 * 1024))
    assert send_request(console_with_fake_model, "GET", "/state").status == 200


def test_console_opens_the_browser(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >{opened}.part\nmv {opened}.part {opened}\n')
    browser.chmod(0o755)
    with (
        fake_prediction_server() as server,
        running_console("--port=0", "--server", server.address, BROWSER=str(browser)) as console,
    ):
        wait_for(opened.exists)
        assert opened.read_text().strip() == f"{console.url}/"


def test_console_names_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("--no-browser", "--server", "127.0.0.1:1", "--port", str(port))
        assert_refused(
            emotion_ai("console", *arguments), 1, f"127.0.0.1:{port}", "in use", "--port"
        )


def test_console_rejects_invalid_options() -> None:
    assert_refused(emotion_ai("console", "--server", "nowhere"), 2, "nowhere", "HOST:PORT")
    assert_refused(
        emotion_ai("console", "--faces", "eyes", "--server", "h:1"), 2, "'eyes'", "yunet"
    )


@pytest.mark.parametrize(
    ("missing", "extra"), [("ai_edge_litert", "console,local"), ("uvicorn", "console")]
)
def test_console_names_a_missing_package(missing: str, extra: str) -> None:
    code = (
        "import importlib.util, sys\n"
        "found = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {missing!r} else found(name)\n"
        "from emotion_ai.pipeline.cli.main import main\n"
        "sys.argv = ['emotion-ai', 'console', '--no-browser', '--port=0']\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert_refused(result, 2, missing, f"emotion-ai[{extra}]")
    assert ("--server" in result.stderr) == (missing == "ai_edge_litert")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_console_stops_on_signals(number: signal.Signals, code: int, tmp_path: Path) -> None:
    # While a page is connected.
    with (
        running_console("--port=0", TMPDIR=str(tmp_path)) as console,
        connect_camera(console, console.url),
    ):
        console.process.send_signal(number)
        _, errors = console.process.communicate(timeout=60)
    assert console.process.returncode == code
    assert errors == ("emotion-ai: interrupted\n" if number == signal.SIGINT else "")
    assert list(tmp_path.glob("emotion-ai-*")) == []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_wheel_contains_the_page(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "setup.py", "components", "pipeline"):
        # Links, so that the build's own files are not left in the project.
        (source / name).symlink_to(PROJECT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--quiet", "--wheel-dir", str(tmp_path), str(source)], check=True, timeout=120
    )
    (wheel,) = tmp_path.glob("*.whl")
    assets = PROJECT / "components/apps/console/assets"
    wanted = {f"emotion_ai/apps/console/assets/{path.name}" for path in assets.iterdir()}
    assert len(wanted) >= 5
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())
