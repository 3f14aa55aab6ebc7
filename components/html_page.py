"""Write the steps' HTML pages: self-contained, with one style for light and dark mode.

A page has a title, a lead sentence, a row of tiles with facts, and sections. The HTML of a section
is made with `figure_html` (an embedded matplotlib figure), `image_html` (an embedded array) and
`table_html`.

Example:
    table = table_html(("emotion", "rows"), [("happy", 120), ("sad", 80)])
    write_page(
        "report.html",
        title="Data report",
        lead="200 faces were read.",
        tiles=[("rows", 200)],
        sections=[Section("Emotions", table)],
    )
"""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup, escape
from numpy.typing import NDArray

from emotion_ai import storage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Qualitative colours of Okabe and Ito (2008), which colour-blind readers can distinguish.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")

# A number and its unit stay on one line.
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|(?:px|ms|s|points)\b)")

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #009E73; --bad: #D55E00 }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 66rem; padding: 2rem 1rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem }
.lead { margin: .3rem 0 1.4rem; opacity: .85 }
.tiles { display: flex; flex-wrap: wrap; gap: .7rem }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem }
.tile b { display: block; font-size: 1.25rem } .tile span { font-size: .85rem; opacity: .75 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) }
.scroll { overflow-x: auto }
pre { font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere }
img { max-width: 100%; height: auto; border-radius: .3rem; background: #fff }
img.pixels { image-rendering: pixelated }
.good { color: var(--good); font-weight: 600 } .bad { color: var(--bad); font-weight: 600 }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="lead">{{ lead }}</p>
<div class="tiles">{% for name, value in tiles %}
<div class="tile"><b>{{ value }}</b><span>{{ name }}</span></div>{% endfor %}
</div>
{% for section in sections %}
<section>
<h2>{{ section.title }}</h2>
{{ section.html }}
</section>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        title: The heading.
        html: The content; plain text is escaped, `Markup` is inserted unchanged.
    """

    title: str
    html: str


def write_page(
    path: str | Path,
    title: str,
    lead: str,
    tiles: Sequence[tuple[str, object]],
    sections: Iterable[Section],
) -> None:
    """Write an HTML page.

    Args:
        path: The file, a local path or a URI that `storage` can write.
        title: The page's title.
        lead: One sentence under the title.
        tiles: (name, value) facts, shown large under the lead sentence.
        sections: The sections in order.

    Raises:
        Unavailable: The file cannot be written.
    """
    page = Environment(autoescape=True).from_string(_TEMPLATE)
    text = page.render(title=title, lead=lead, tiles=tiles, sections=list(sections))
    storage.write_bytes(str(path), text.encode())


def figure_html(figure: "Figure", alt: str) -> Markup:
    """Return a matplotlib figure as an embedded PNG; `alt` describes it in words."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return _embed(buffer.getvalue(), alt, "")


def image_html(pixels: NDArray, alt: str) -> Markup:
    """Return a uint8 array [H, W] or [H, W, 3] as an embedded PNG with sharp pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return _embed(buffer.getvalue(), alt, "pixels")


def table_html(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """Return a table; floats have four significant digits, `Markup` cells are unchanged."""
    head = Markup("").join(Markup("<th>{}</th>").format(column) for column in columns)
    body = [
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(_cell(value)) for value in row)
        )
        for row in rows
    ]
    return Markup(
        '<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, Markup("\n").join(body))


def sentences_html(sentences: Iterable[str]) -> Markup:
    """Return a list of sentences, each with a capital at its start and a full stop."""
    items = (
        Markup("<li>{}</li>").format(_unbroken(f"{text[:1].upper()}{text[1:].rstrip('.')}."))
        for text in sentences
    )
    return Markup("<ul>{}</ul>").format(Markup("").join(items))


def _cell(value: object) -> Markup:
    if isinstance(value, str) and not isinstance(value, Markup):
        value = _unbroken(value)
    return escape(f"{value:.4g}" if isinstance(value, float) else value)


def _unbroken(text: str) -> str:
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def _embed(png: bytes, alt: str, css: str) -> Markup:
    data = base64.b64encode(png).decode("ascii")
    return Markup('<img class="{}" alt="{}" src="data:image/png;base64,{}">').format(css, alt, data)
