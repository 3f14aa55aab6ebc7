"""The page in Chromium, with the pretrained networks."""

import csv
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.console_page import open_page, send_files
from support.console_process import PLACES, SIDE, Console, running_console
from support.fake_prediction_server import fake_prediction_server

pytestmark = pytest.mark.browser

EMOTIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_page_shows_the_faces_of_a_photo(
    page: Page, console: Console, picture: Path, way: str
) -> None:
    open_page(page, console)
    if way == "choose":
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose a photo").click()
        chooser.value.set_files(picture)
    else:
        send_files(page, way, picture)
    cards = page.locator(".face")
    expect(cards).to_have_count(2)
    expect(page.locator("#summary")).to_contain_text("2 faces: face 1 ")
    expect(page.locator("#message")).to_be_hidden()
    for number, (left, top) in enumerate(PLACES):
        card = cards.nth(number)
        assert card.locator(".bars th").all_inner_texts() == EMOTIONS
        shares = [
            int(text.split()[0]) for text in card.locator(".bars td:last-child").all_inner_texts()
        ]
        assert 96 <= sum(shares) <= 104
        strongest = EMOTIONS[shares.index(max(shares))]
        expect(card.locator(".emotion")).to_have_text(strongest)
        card.get_by_text("Box and keypoints").click()
        points = card.get_by_label("Box and keypoints").locator("td").all_inner_texts()
        assert len(points) == 2 + 15
        for text in points[2:]:
            x, y = map(float, text.split(","))
            assert left < x < left + SIDE
            assert top < y < top + SIDE
        box_left, box_top = map(float, points[0].split(","))
        height = float(points[1].split(",")[1])
        drawn = colour_at(page, box_left, box_top + height / 2)
        bar = card.locator(".strongest .bar span").evaluate(
            "bar => getComputedStyle(bar).backgroundColor"
        )
        wanted = [int(part) for part in re.findall(r"\d+", bar)]
        assert max(abs(a - b) for a, b in zip(drawn, wanted, strict=True)) < 40, (drawn, wanted)


def test_page_shows_the_head_and_the_measures_of_a_face(
    page: Page, console: Console, picture: Path
) -> None:
    open_page(page, console)
    send_files(page, "drop", picture)
    card = page.locator(".face").first
    card.get_by_text("Head and measures").click()
    table = card.get_by_label("Head and measures")
    names = table.locator("th").all_inner_texts()
    texts = dict(zip(names, table.locator("td").all_inner_texts(), strict=True))
    assert names[:5] == ["yaw", "pitch", "roll", "valence", "mouth opening"]
    assert re.fullmatch(r"0°|\d+° (down|up)", texts["pitch"])
    assert re.fullmatch(r"[+\u2212][01]\.\d\d", texts["valence"])
    assert 0.5 < float(texts["mouth width"]) < 1.5


def colour_at(page: Page, x: float, y: float) -> list[int]:
    """Return the colour at a pixel of the drawn photo of 600x360, [r, g, b]."""
    code = """([x, y]) => {
        const canvas = document.getElementById("drawing");
        const place = [x * canvas.width / 600, y * canvas.height / 360].map(Math.round);
        return [...canvas.getContext("2d").getImageData(...place, 1, 1).data].slice(0, 3);
    }"""
    return page.evaluate(code, [x, y])


def visible_seconds(page: Page) -> list[int]:
    texts = page.locator("#tracks td:nth-child(2)").all_inner_texts()
    return [int(text.split()[0]) for text in texts]


def test_page_tracks_faces_of_the_camera_and_releases_it(
    page: Page, console: Console, tmp_path: Path
) -> None:
    page.add_init_script("""
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        window.tracks = [];
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = await open(wanted);
            window.tracks.push(...stream.getTracks());
            return stream;
        };
    """)
    open_page(page, console)
    expect(page.locator("#timeline")).to_be_hidden()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator(".face")).to_have_count(2)
    expect(page.locator("#video")).to_be_visible()
    expect(page.locator("#tracks tbody tr")).to_have_count(2)
    early = max(visible_seconds(page))
    page.wait_for_function(
        """early => [...document.querySelectorAll("#tracks td:nth-child(2)")]
        .every((cell) => parseInt(cell.textContent) >= early + 3)""",
        arg=early,
    )
    # The faces sway, and keep their numbers.
    assert sorted(page.locator("#tracks tbody th").all_inner_texts()) == ["1", "2"]
    assert (
        page.evaluate("""() => {
        const canvas = document.getElementById("lanes");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(data.buffer)).size;
    }""")
        > 5
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    download.value.save_as(tmp_path / "emotions.csv")
    with (tmp_path / "emotions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["face"] for row in rows} == {"1", "2"}
    # The page rounds to whole seconds.
    assert float(rows[-1]["seconds"]) >= early + 2
    assert all(abs(sum(float(row[name]) for name in EMOTIONS) - 1) < 0.01 for row in rows)

    page.get_by_role("button", name="Stop the camera").click()
    expect(page.locator("#summary")).to_have_text("The camera is off.")
    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]
    assert page.evaluate("document.getElementById('video').srcObject") is None
    expect(page.locator("#timeline")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#timeline")).to_be_hidden()


def test_page_shows_late_results_on_their_own_frame(page: Page) -> None:
    def late(number: int, context: Any) -> None:
        time.sleep(0.5)

    with (
        fake_prediction_server(late) as server,
        running_console("--port=0", "--server", server.address) as console,
    ):
        open_page(page, console)
        page.get_by_role("button", name="Use the camera").click()
        # The drawing is opaque: it shows the analysed frame instead of the video.
        page.wait_for_function("""() => {
            const canvas = document.getElementById("drawing");
            return canvas.getContext("2d").getImageData(3, 3, 1, 1).data[3] === 255;
        }""")
        expect(page.locator(".face")).to_have_count(2)


def test_page_connects_to_the_console_only(
    context: BrowserContext, page: Page, console: Console, picture: Path
) -> None:
    urls: list[str] = []
    context.on("request", lambda request: urls.append(request.url))
    page.on("websocket", lambda made: urls.append(made.url.replace("ws://", "http://")))
    open_page(page, console)
    send_files(page, "drop", picture)
    expect(page.locator(".face")).to_have_count(2)
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#tracks tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Stop the camera").click()
    paths = {url.removeprefix(console.url) for url in urls}
    assert {"/", "/page.js", "/style.css", "/photo", "/camera", "/state"} <= paths
    assert [path for path in paths if not path.startswith("/")] == []
    # The browser's policy blocks other addresses before it connects.
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        address = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        for code in (
            "address => fetch(`http://${address}/`, { mode: 'no-cors' }).catch(() => 'refused')",
            """address => new Promise((resolve) => {
                const image = new Image();
                image.onerror = () => resolve("refused");
                image.src = `http://${address}/`;
            })""",
            """address => new Promise((resolve) => {
                try {
                    new WebSocket(`ws://${address}/`).onerror = () => resolve("refused");
                } catch { resolve("refused"); }
            })""",
        ):
            assert page.evaluate(code, address) == "refused"
        elsewhere.settimeout(0.3)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_page_reports_bad_pictures(
    page: Page, console: Console, picture: Path, tmp_path: Path
) -> None:
    open_page(page, console)
    note = tmp_path / "note.png"
    note.write_text("no picture")
    send_files(page, "drop", note)
    message = page.locator("#message")
    expect(message).to_contain_text("note.png: not a picture; expected a picture (JPEG, PNG")
    cut = tmp_path / "cut.png"
    cut.write_bytes(picture.read_bytes()[:3000])
    send_files(page, "drop", cut)
    expect(message).to_contain_text("cut.png: cannot be read")
    page.evaluate("""() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(65 * 2 ** 20)], "huge.jpg"));
        const made = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
        document.body.dispatchEvent(made);
    }""")
    expect(message).to_contain_text("huge.jpg: more than 64 MiB")
    send_files(page, "drop")
    expect(message).to_contain_text("not a file")
    send_files(page, "drop", picture)
    expect(page.locator(".face")).to_have_count(2)
    expect(message).to_be_hidden()
