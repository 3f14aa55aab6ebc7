"""Actions on the console's page: open it, and drop or paste files into it."""

import base64
from pathlib import Path

from playwright.sync_api import Page, expect

from support.console_process import Console

# Sends an event with the files in `items`, each [name, base64], to the picture area.
SEND_FILES = """([event, items]) => {
    const transfer = new DataTransfer();
    for (const [name, text] of items) {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
    }
    const sent = event === "paste"
        ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
        : new DragEvent(event, { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.getElementById("stage").dispatchEvent(sent);
}"""


def open_page(page: Page, console: Console) -> Page:
    """Open the page and wait until the networks are ready."""
    page.goto(console.url)
    expect(page.locator("#state")).to_have_attribute("data-status", "ready")
    return page


def send_files(page: Page, event: str, *files: Path) -> None:
    """Send a "drop" or "paste" event with these files to the page."""
    items = [[file.name, base64.b64encode(file.read_bytes()).decode()] for file in files]
    page.evaluate(SEND_FILES, [event, items])
