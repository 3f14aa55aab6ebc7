"""The page retries while the model server or the console is down."""

import socket
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.console_page import open_page, send_files
from support.console_process import running_console
from support.fake_prediction_server import fake_prediction_server

pytestmark = pytest.mark.browser


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_page_retries_a_model_server_that_was_down(
    page: Page, picture: Path, free_port: int
) -> None:
    address = f"127.0.0.1:{free_port}"
    message, state = page.locator("#message"), page.locator("#state")
    with running_console("--port", "0", "--server", address) as console:
        page.goto(console.url)
        expect(state).to_have_attribute("data-status", "down")
        expect(state).to_contain_text(address)
        send_files(page, "drop", picture)
        expect(message).to_contain_text(f"server {address}: no model server answers there")
        with fake_prediction_server(port=free_port):
            expect(page.locator(".face")).to_have_count(2)
            expect(message).to_be_hidden()
            expect(state).to_have_attribute("data-status", "ready")
            page.get_by_role("button", name="Use the camera").click()
            expect(page.locator("#tracks tbody tr")).to_have_count(2)
        expect(message).to_contain_text(address)
        with fake_prediction_server(port=free_port):
            expect(message).to_be_hidden()
            expect(page.locator(".face")).to_have_count(2)


def test_page_retries_a_console_that_was_down(page: Page, picture: Path, free_port: int) -> None:
    message, state = page.locator("#message"), page.locator("#state")
    with fake_prediction_server() as server:
        arguments = ("--port", str(free_port), "--server", server.address)
        with running_console(*arguments) as console:
            open_page(page, console)
            page.get_by_role("button", name="Use the camera").click()
            expect(page.locator(".face")).to_have_count(2)
        expect(message).to_contain_text("Start it again with: emotion-ai console")
        expect(state).to_have_attribute("data-status", "down")
        with running_console(*arguments):
            expect(message).to_be_hidden()
            expect(page.locator(".face")).to_have_count(2)
            expect(state).to_have_attribute("data-status", "ready")
        send_files(page, "drop", picture)
        expect(message).to_contain_text("Retrying")
        with running_console(*arguments):
            expect(message).to_be_hidden()
            expect(page.locator(".face")).to_have_count(2)
