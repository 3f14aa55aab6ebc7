"""Other people's words in Markdown, which holds HTML too: sources, reasons, labels."""

import re

from emotion_ai.errors import one_line

# HTML's own characters as entities, which every viewer takes; the others with a backslash. An
# underscore within a word means nothing.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKUP = re.compile(r"[\\`*{}\[\]|~#&<>]|(?<!\w)_|_(?!\w)")
# What ends a code span, or a table's cell, or is HTML to a viewer that knows no code spans.
_NO_CODE = re.compile(r"[`|<>&\\]")


def escape_markdown(text: str) -> str:
    r"""Escape a text so that Markdown shows it as it is, on one line.

    Example:
        >>> print(escape_markdown("<b>\n# a_b *c*"))
        &lt;b&gt; \# a_b \*c\*
    """
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), one_line(text))


def markdown_code(text: str) -> str:
    """Return a text as a code span; escaped, if it could not be one.

    Example:
        >>> markdown_code("faces_1.csv"), markdown_code("<b>")
        ('`faces_1.csv`', '&lt;b&gt;')
    """
    line = one_line(text)
    return escape_markdown(line) if not line or _NO_CODE.search(line) else f"`{line}`"


def markdown_row(cells: list[str]) -> str:
    """Return a row of a table.

    Example:
        >>> markdown_row(["a<b", "c"])
        '| a&lt;b | c |'
    """
    return f"| {' | '.join(map(escape_markdown, cells))} |"
