"""The site, as sphinx builds it: READMEs and tutorials as they lie, and the API's docstrings.

The folder of sources is the checkout, so that links between the READMEs lead from page to page.
"""

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Other modules of this folder.
sys.path.insert(0, str(HERE))

from tutorial_pages import PAGES, SLOW_PAGES, run_page, with_results  # noqa: E402

project = "Emotion-AI"
author = "the authors of Emotion-AI"
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["README.md", "MODEL_CARD.md", "*/README.md", "components/*/README.md"]
include_patterns += ["components/apps/*/README.md", "tests/tutorials/*.md"]
# Not to be looked through.
exclude_patterns = [".*", "build", "tests/fixtures"]
root_doc = "README"
# Sections are linked by the names that their headings get on the repository's pages.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# Docstrings name code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "Emotion-AI"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["start"]
# Blocks without a language are commands and what they print.
highlight_language = "none"
pygments_style = "friendly"
pygments_dark_style = "monokai"

LINK = re.compile(r"\[([^]]+)\]\(([^)#:]+)\)")
EXAMPLE = r"\n.. rubric:: \1\n\n.. code-block:: python\n"
TOC = """

```{toctree}
:hidden:
:caption: CAPTION

ENTRIES
```
"""
CHAPTERS = {
    "Tutorials": [f"tests/tutorials/{page}" for page in PAGES],
    "Guides": [
        "components/client/README",
        "components/apps/watch/README",
        "components/apps/console/README",
        "pipeline/README",
        "components/server/README",
        "components/networks/README",
        "docker/README",
        "k8s/README",
        "components/README",
    ],
    "Reference": ["tests/tutorials/api", "Model card <MODEL_CARD>", "tests/tutorials/glossary"],
}


def change_source(app: Sphinx, name: str, content: list[str]) -> None:
    """Add the contents' list to the first page, and to a tutorial what its commands printed."""
    text = LINK.sub(lambda link: _page_link(link, ROOT / name), content[0])
    if name == root_doc:
        for caption, entries in CHAPTERS.items():
            text += TOC.replace("CAPTION", caption).replace("ENTRIES", "\n".join(entries))
    folder, _, page = name.rpartition("/")
    if folder == "tests/tutorials" and page in app.config.tutorial_results:
        text = with_results(text, app.config.tutorial_results[page])
    content[0] = text


def _page_link(link: re.Match[str], page: Path) -> str:
    """Keep a link unless it leads to a folder, which only the repository's pages show."""
    return link[1] if (page.parent / link[2]).is_dir() else link[0]


def mark_examples(
    _app: Sphinx, _kind: str, _name: str, _item: Any, _options: Any, lines: list[str]
) -> None:
    """Let the example in a docstring be code."""
    lines[:] = [re.sub(r"^(Examples?):$", EXAMPLE, line) for line in lines]
    lines[:] = "\n".join(lines).split("\n")


def run_tutorials(app: Sphinx) -> None:
    """Run the commands of the pages that take seconds; their pictures are the site's."""
    folder = Path(app.config.tutorial_folder)
    app.config.tutorial_results = {
        page: run_page(page, folder / page) for page in PAGES if page not in SLOW_PAGES
    }


def setup(app: Sphinx) -> None:
    """Join these to the build."""
    app.add_config_value("tutorial_folder", str(ROOT / "build" / "tutorials"), "")
    app.add_config_value("tutorial_results", {}, "")
    app.connect("builder-inited", run_tutorials)
    app.connect("source-read", change_source)
    # Before napoleon, which would take an example for text.
    app.connect("autodoc-process-docstring", mark_examples, priority=100)
