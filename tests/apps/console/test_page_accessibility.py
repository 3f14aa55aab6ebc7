"""The page's accessibility: the keyboard, screen readers, and a phone's small screen."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.console_page import open_page, send_files
from support.console_process import Console

pytestmark = pytest.mark.browser


def focused_element(page: Page) -> str:
    """Return the id or text of the focused element, and check that its outline is visible."""
    width = page.evaluate("""() => {
        const style = getComputedStyle(document.activeElement);
        return style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
    }""")
    assert width >= 2
    return page.evaluate("""() => {
        const part = document.activeElement;
        return part.id || part.textContent.trim();
    }""")


def test_page_works_from_the_keyboard(page: Page, console: Console, picture: Path) -> None:
    open_page(page, console)
    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(focused_element(page))
    assert order == ["understood", "choose", "camera", "keypoints", "example"]
    page.keyboard.press("Enter")
    expect(page.locator(".face")).to_have_count(3)
    # The focus moves on when the pressed button disappears.
    assert focused_element(page) == "choose"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(picture)
    expect(page.locator(".face")).to_have_count(2)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    before = drawing_data(page)
    page.keyboard.press("Space")
    assert drawing_data(page) != before
    page.keyboard.press("Tab")
    assert focused_element(page) == "Box and keypoints"
    page.keyboard.press("Enter")
    expect(page.locator(".face details").first).to_contain_text("nose tip")
    for _ in range(2):
        page.keyboard.press("Shift+Tab")
    assert focused_element(page) == "camera"
    page.keyboard.press("Enter")
    expect(page.locator("#tracks tbody tr")).to_have_count(2)
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_have_text("The camera is off.")


def drawing_data(page: Page) -> str:
    return page.evaluate("document.getElementById('drawing').toDataURL()")


def test_page_describes_the_drawing_for_screen_readers(
    page: Page, console: Console, picture: Path
) -> None:
    open_page(page, console)
    assert page.locator("#summary").get_attribute("aria-live") == "polite"
    assert page.locator("#message").get_attribute("role") == "alert"
    send_files(page, "drop", picture)
    expect(page.locator(".face")).to_have_count(2)
    image = page.get_by_role(
        "img", name=re.compile(r"^The picture. 2 faces: face 1 \w+ \(\d+\s%\)")
    )
    expect(image).to_be_visible()
    for number in (1, 2):
        expect(page.get_by_role("table", name=f"Emotions of face {number}")).to_be_visible()
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, input, select")]
        .filter((part) => part.checkVisibility())
        .filter((part) => !part.textContent.trim() && !part.labels?.length)
        .map((part) => part.outerHTML)""")
    assert unnamed == []


def test_page_fits_a_phone(page: Page, console: Console, picture: Path) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    open_page(page, console)

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        beyond = page.evaluate("""() => [...document.querySelectorAll("main *, header *")]
            .filter((part) => part.checkVisibility() && part.getBoundingClientRect().right > 360.5)
            .map((part) => part.outerHTML.slice(0, 80))""")
        assert beyond == []

    fits()
    for button in page.locator(".tools .button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    send_files(page, "drop", picture)
    expect(page.locator(".face")).to_have_count(2)
    page.locator(".face summary").first.click()
    fits()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#tracks tbody tr")).to_have_count(2)
    fits()
