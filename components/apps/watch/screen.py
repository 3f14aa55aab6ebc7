"""What `watch` shows: minutes as a table on a terminal, else as JSON lines; and how far it is."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.minute_summaries import clock
from emotion_ai.apps.watch.sources import Source
from emotion_ai.client.drawing import COLOURS
from emotion_ai.client.records import json_line

_BAR = 20
_COLUMNS = (("minute", 6, "right"), ("face", 5, "right"), ("seen", 15, "left"))


class Screen:
    """Tells minutes on standard output, and the progress where somebody watches it."""

    def __init__(self, source: Source, duration: float | None) -> None:
        self._source = source
        self._total = duration or source.duration_s or None
        self._console: Any = None
        self._progress: Any = None
        self._begun = False

    def tell(self, records: list[dict[str, Any]]) -> None:
        """Show the records of a minute that is over."""
        if not sys.stdout.isatty():
            sys.stdout.writelines(map(json_line, records))
            sys.stdout.flush()
            return
        self._console.print(_table(records, named=not self._begun))
        self._begun = True

    def add(self, look: FrameResult) -> None:
        """Show how far it is."""
        if self._progress is not None:
            dropped = f"{self._source.dropped} dropped" if self._source.live else ""
            self._progress.update(0, completed=look.frame.time_s, dropped=dropped)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the progress for the length of the block."""
        if not (sys.stdout.isatty() or sys.stderr.isatty()):
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        # Above the bar, on the same terminal, rows appear.
        self._console = Console(stderr=not sys.stdout.isatty())
        time = TextColumn("{task.completed:.0f} s {task.fields[dropped]}")
        columns = (BarColumn(), time, TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._progress.add_task("", total=self._total, dropped="")
            yield
        self._progress = None


def _table(records: list[dict[str, Any]], named: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=named)
    for name, width, side in _COLUMNS:
        table.add_column(name, width=width, justify=side)  # type: ignore[arg-type]
    table.add_column("looks", width=5, justify="right")
    table.add_column("", width=_BAR)
    table.add_column("showed", overflow="fold")
    minute = ""
    for record in records:
        told = sorted(record["shown"].items(), key=lambda named: -named[1])
        bar = Text()
        for name, share in told:
            bar.append("█" * round(_BAR * share), style=_style(name))
        words = ", ".join(f"{name} {share:.0%}" for name, share in told[:3])
        first = "" if minute else str(record["minute"])
        minute = str(record["minute"])
        seen = f"{clock(record['from_s'])} - {clock(record['to_s'])}"
        table.add_row(first, str(record["track"]), seen, str(record["looks"]), bar, words)
    return table


def _style(name: str) -> str:
    red, green, blue = COLOURS.get(name, (160, 160, 160))
    return f"rgb({red},{green},{blue})"
