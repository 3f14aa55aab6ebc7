"""One browser with a camera of drawn faces, and one console with the pretrained networks."""

import os
import shutil
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from support.console_process import Console, running_console, write_video

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Of its own accord Chromium would look for updates and for its maker's hosts.
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, which allows its camera without asking; skips where none is found.

    With EMOTION_AI_BROWSER=required, as in CI, that is a failure instead.
    For one file of tests: as long as it runs there is an event loop, and no other test has its own.
    """
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        reason = f"no browser: none of {', '.join(_NAMES)} is on the PATH"
        if os.environ.get("EMOTION_AI_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    video = tmp_path_factory.mktemp("camera") / "faces.y4m"
    write_video(video)
    camera = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_QUIET, *camera])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A window of its own, which may use the camera."""
    context = chromium.new_context(permissions=["camera"], accept_downloads=True)
    # A busy machine is no failure.
    context.set_default_timeout(_PATIENCE_MS)
    expect.set_options(timeout=_PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab; whatever its scripts complain about fails the test."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # Waited for only once it is to come, a dialog now and then opens before the browser has been
    # told to hand it over.
    page.on("filechooser", lambda chooser: None)
    yield page
    assert complaints == []


@pytest.fixture(scope="module")
def console() -> Iterator[Console]:
    """The console with the pretrained networks, which answer."""
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
