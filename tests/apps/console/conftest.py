"""A photo of drawn faces, and a console with the pretrained networks."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support.console_process import Console, photo, running_console


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A photo of two drawn faces, as a PNG file."""
    path = tmp_path / "two faces.png"
    path.write_bytes(photo())
    return path


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    """Run the console with the pretrained networks, until they are ready."""
    with running_console("--port", "0") as running:
        deadline = time.monotonic() + 240
        while b'"ready"' not in (state := _state(running)):
            assert time.monotonic() < deadline, state
            time.sleep(0.3)
        yield running


def _state(console: Console) -> bytes:
    connection = HTTPConnection(console.url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/state")
    return connection.getresponse().read()
