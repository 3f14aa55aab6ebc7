"""The site is built as `make site` builds it: without a network, and without a warning."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from tutorial_pages import PAGES

ROOT = Path(__file__).parents[2]
SPHINX = Path(sys.executable).with_name("sphinx-build")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages; their quick tutorials have run."""
    folder = tmp_path_factory.mktemp("site")
    makefile = (ROOT / "Makefile").read_text()
    (arguments,) = re.findall(r"^\t\$\(BIN\)/sphinx-build (.+)$", makefile, re.MULTILINE)
    words = arguments.replace("build/site-cache", str(folder / "cache")).split()
    words[-1] = str(folder / "pages")
    results = f"--define=tutorial_folder={folder / 'run'}"
    done = subprocess.run(
        [SPHINX, results, *words], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return folder / "pages"


def pages(site: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in site.rglob("*.html")}


def test_every_page_is_there(site: Path) -> None:
    for name in ("README", "MODEL_CARD", "components/client/README", "tests/tutorials/api"):
        assert (site / f"{name}.html").is_file()
    for page in PAGES:
        assert (site / f"tests/tutorials/{page}.html").is_file()
    assert "README.html" in (site / "index.html").read_text()


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b[^>]*href=\"(?:https?:)?//"
    )
    assert [path.name for path, text in pages(site).items() if loaded.search(text)] == []
    styles = [
        path
        for path in site.rglob("*.css")
        if re.search(r"@import|url\([\"']?(?:https?:)?//", path.read_text())
    ]
    assert styles == []


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    texts = pages(site)
    lost = []
    for path, text in texts.items():
        for link in re.findall(r"\bhref=\"([^\"]+)\"", text):
            if "://" in link or link.startswith("mailto:"):
                continue
            name, anchor = urldefrag(unquote(link))
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            if not target.is_file() or (anchor and f'id="{anchor}"' not in texts.get(target, "")):
                lost.append(f"{path.name}: {link}")
    assert lost == []


def test_results_of_the_commands_are_shown(site: Path) -> None:
    text = (site / "tests/tutorials/photo.html").read_text()
    assert "happy 97%" in text
    assert re.search(r'<img[^>]*src="[^"]*astronaut', text)


def test_public_names_are_in_the_api(site: Path) -> None:
    import emotion_ai

    text = (site / "tests/tutorials/api.html").read_text()
    assert [name for name in emotion_ai.__all__ if f'id="emotion_ai.{name}"' not in text] == []
