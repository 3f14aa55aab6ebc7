"""Words of others on the page: names of files and of a foreign server's emotions."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from emotion_ai.sample.drawing import draw_faces

from support.console_page import open_page, send_files
from support.console_process import running_console
from support.fake_prediction_server import fake_prediction_server

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)>"
STYLE = "x),url(/stolen"
FORMULA = '=HYPERLINK("x"),1'


def rename(outputs: dict[str, NDArray]) -> None:
    names = [name.encode() for name in (MARKUP, STYLE, FORMULA)]
    count = len(outputs["emotion"])
    outputs["emotion"] = np.array([names[0]] * count, object)
    outputs["emotion_labels"] = np.array([names] * count, object)
    outputs["emotion_probabilities"] = np.tile(np.float32([0.2, 0.2, 0.6]), (count, 1))
    # Keypoints of a face, without which no emotion would be named.
    outputs["keypoints"] = np.float32(next(draw_faces(1, 4)).keypoints).repeat(count, 0)


def test_page_takes_names_of_emotions_for_text(page: Page, picture: Path, tmp_path: Path) -> None:
    paths: list[str] = []
    page.on("request", lambda request: paths.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    with (
        fake_prediction_server(alter=rename) as server,
        running_console("--port=0", "--server", server.address) as console,
    ):
        open_page(page, console)
        send_files(page, "drop", picture)
        expect(page.locator(".face")).to_have_count(2)
        assert page.locator(".face").first.locator(".bars th").all_inner_texts() == [
            MARKUP,
            STYLE,
            FORMULA,
        ]
        expect(page.locator("#summary")).to_contain_text(f"face 1 {FORMULA} (60")
        page.get_by_role("button", name="Use the camera").click()
        expect(page.locator("#tracks tbody tr")).to_have_count(2)
        expect(page.locator("#legend li")).to_have_text([MARKUP, STYLE, FORMULA])
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as CSV").click()
        download.value.save_as(tmp_path / "emotions.csv")
    assert page.locator("img[src='x']").count() == 0
    assert [path for path in paths if re.search("stolen|/x$", path)] == []
    with (tmp_path / "emotions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    # No cell is a formula.
    assert rows[0] == ["seconds", "face", "emotion", MARKUP, STYLE, f"'{FORMULA}"]
    assert {row[2] for row in rows[1:]} == {f"'{FORMULA}"}
    assert {tuple(row[3:]) for row in rows[1:]} == {("0.2000", "0.2000", "0.6000")}


def test_page_shows_names_of_files_without_control_characters(page: Page, tmp_path: Path) -> None:
    bad = tmp_path / f"\u202egpj{MARKUP}\x1b[31m.png"[:200].replace("/", "")
    bad.write_text("no picture")
    with (
        fake_prediction_server() as server,
        running_console("--port=0", "--server", server.address) as console,
    ):
        open_page(page, console)
        send_files(page, "drop", bad)
        message = page.locator("#message")
        expect(message).to_contain_text(f"\ufffdgpj{MARKUP}\ufffd[31m.png: not a picture")
        assert page.locator("img[src='x']").count() == 0
