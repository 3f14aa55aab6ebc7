"""A browser with a camera video of drawn faces."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from support.console_process import write_video

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Against Chromium's background requests, such as updates.
_CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run Chromium with permission for the camera; skip the test if it is not installed.

    With EMOTION_AI_BROWSER=required, as in CI, the test fails instead. Playwright keeps an event
    loop running, so that other modules' asyncio tests would fail: the scope is one module.
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
        browser = playwright.chromium.launch(
            executable_path=path, args=[*_CHROMIUM_OPTIONS, *camera]
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A new browser window with permission for the camera."""
    context = chromium.new_context(permissions=["camera"], accept_downloads=True)
    # For busy machines.
    context.set_default_timeout(_TIMEOUT_MS)
    expect.set_options(timeout=_TIMEOUT_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A new tab; an error in its scripts fails the test."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    # Without a permanent listener, a dialog can open before Chromium intercepts it.
    page.on("filechooser", lambda chooser: None)
    yield page
    assert errors == []
