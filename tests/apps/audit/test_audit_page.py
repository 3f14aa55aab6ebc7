"""The audit's page in a browser: choose labels, and save them for the next run."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from emotion_ai.apps.audit.page import Audit, write_audit_page
from emotion_ai.apps.audit.ranking import rank
from emotion_ai.faces.labels import label_set_names

_LABELS = label_set_names("fer7")
_EARLIER = [(2, "fear", "none"), (9, "fear", "sad")]


def _write_page(path: Path, shown: int) -> None:
    """Write rows 5 to 10 or the first of them, the most doubtful; row 9 was corrected before."""
    targets = np.arange(6, dtype=np.uint8)
    probabilities = np.full((6, 7), 0.02, np.float32)
    probabilities[targets, targets] = np.arange(6) / 10 + 0.004
    # Each looks like the next emotion.
    probabilities[targets, targets + 1] = 0.5
    suspects = rank(probabilities, targets, shown)
    audit = Audit(
        "<b>faces</b>.csv", "0" * 64, "faces.corrections.csv", "pretrained", _LABELS, 900, _EARLIER
    )
    images = np.zeros((shown, 48, 48), np.uint8)
    files = {5: "</script><b>5.png"}
    write_audit_page(path, audit, suspects, images, range(5, 5 + shown), files)


@pytest.fixture
def audit_page(tmp_path: Path, page: Page) -> Page:
    path = tmp_path / "audit.html"
    _write_page(path, 6)
    page.goto(f"file://{path}")
    return page


def _saved(page: Page) -> list[str]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrections").click()
    assert download.value.suggested_filename == "faces.corrections.csv"
    return Path(download.value.path()).read_text().splitlines()


def test_labels_that_were_chosen_are_saved_beside_those_of_before(audit_page: Page) -> None:
    # Names from outside are text.
    expect(audit_page.get_by_text("labels of <b>faces</b>.csv")).to_be_visible()
    captions = audit_page.locator("figcaption")
    assert captions.all_inner_texts()[:2] == ["angry <1%\ndisgust 50%", "disgust 10%\nfear 50%"]
    expect(audit_page.get_by_text("0 changed, beside 2 of before")).to_be_visible()
    expect(audit_page.get_by_role("button", name="Save corrections")).to_be_disabled()
    # A click takes the suggestion, another takes it back.
    audit_page.get_by_role("button", name="</script><b>5.png: disgust").click()
    audit_page.get_by_role("button", name="row 6: fear").click()
    audit_page.get_by_role("button", name="row 6: fear").click()
    audit_page.get_by_label("row 8", exact=True).select_option("none")
    # It keeps what the source says of it.
    audit_page.get_by_label("row 9", exact=True).select_option("surprise")
    expect(audit_page.get_by_text("3 changed")).to_be_visible()
    assert _saved(audit_page) == [
        "row,emotion,corrected",
        "2,fear,none",
        "5,angry,disgust",
        "8,happy,none",
        "9,fear,surprise",
    ]


def test_choices_outlast_a_reload(audit_page: Page) -> None:
    audit_page.get_by_label("row 7", exact=True).select_option("sad")
    audit_page.reload()
    expect(audit_page.get_by_text("1 changed")).to_be_visible()
    expect(audit_page.get_by_label("row 7", exact=True)).to_have_value("sad")


def test_choices_outlast_a_page_that_shows_fewer_faces(audit_page: Page, tmp_path: Path) -> None:
    audit_page.get_by_label("row 10", exact=True).select_option("sad")
    for shown, changed in ((2, 0), (6, 1)):
        _write_page(tmp_path / "audit.html", shown)
        audit_page.reload()
        expect(audit_page.locator("figure")).to_have_count(shown)
        expect(audit_page.get_by_text(f"{changed} changed")).to_be_visible()
    expect(audit_page.get_by_label("row 10", exact=True)).to_have_value("sad")


def test_a_correction_of_before_can_be_taken_back(audit_page: Page) -> None:
    audit_page.get_by_label("row 9", exact=True).select_option("fear")
    assert _saved(audit_page) == ["row,emotion,corrected", "2,fear,none"]
