"""Prints the description of a run."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape

from emotion_ai.errors import one_line


def print_run(console: Console, description: dict[str, Any]) -> None:
    """Print how a run ended, and why.

    Args:
        console: Where to print.
        description: From `emotion_ai.registry.run_description.describe_run`.
    """
    for name, value in _rows(description):
        text = escape(one_line(value))
        console.print(f"[bold]{name:<10}[/]{text}", highlight=False, soft_wrap=True)


def _rows(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "run", description["run_id"]
    yield "outcome", description["outcome"]
    if failure := description.get("failure"):
        yield "step", failure["step"]
        yield "reason", failure["message"]
        yield from (("log", line) for line in failure.get("log", []))
    else:
        yield "message", description["message"]
    for reason in description["reasons"]:
        yield "because", reason
    if description.get("release"):
        yield "release", str(description["release"])
    if description.get("finished"):
        yield "finished", description["finished"]
    yield "records", ", ".join(description["steps"]) or "none"
    if description["page"]:
        yield "page", description["page"]
