"""What the page tells before its use, and the purpose that it was declared for."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.console_page import open_page
from support.console_process import running_console
from support.fake_prediction_server import fake_prediction_server

pytestmark = pytest.mark.browser

PURPOSE = '=study "12" <b>'


def test_page_states_its_purpose_in_what_it_saves_and_its_notice_once(
    page: Page, tmp_path: Path
) -> None:
    with (
        fake_prediction_server() as server,
        running_console(
            "--port=0", "--server", server.address, EMOTION_AI_PURPOSE=PURPOSE
        ) as console,
    ):
        open_page(page, console)
        notice = page.get_by_role("complementary", name="Before you begin")
        expect(notice).to_contain_text("not what a person feels")
        expect(notice).to_contain_text("at work or in education is prohibited")
        notice.get_by_role("button", name="Understood").click()
        expect(notice).to_be_hidden()
        assert page.evaluate("document.activeElement.id") == "choose"
        page.reload()
        expect(page.locator("#purpose")).to_have_text(f"Purpose: {PURPOSE}")
        expect(page.locator("#notice")).to_be_hidden()
        page.get_by_role("button", name="Use the camera").click()
        expect(page.locator("#tracks tbody tr")).to_have_count(2)
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as CSV").click()
        download.value.save_as(tmp_path / "emotions.csv")
    with (tmp_path / "emotions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # No formula of a spreadsheet.
    assert {row["purpose"] for row in rows} == {f"'{PURPOSE}"}
