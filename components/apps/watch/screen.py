"""Show the summary of each minute, as a table on a terminal, else as JSON lines; and progress."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.apps.watch.minute_summaries import clock
from emotion_ai.apps.watch.sources import Source
from emotion_ai.client.panels import COLOURS
from emotion_ai.client.records import json_line
from emotion_ai.terminal import clean_console, clean_line

_NOTICE = """\
What a face shows is not what a person feels: decide nothing about anybody by it.
In the EU, inferring emotions at work or in education is prohibited, but for
medical or safety reasons (AI Act, Article 5). Declare what this is for, with
--purpose or EMOTION_AI_PURPOSE: the outputs say so, and this notice is gone.
"""
_BAR_WIDTH = 20
_OTHER_COLOUR = (160, 160, 160)
_COLUMNS = (("minute", 6, "right"), ("face", 5, "right"), ("seen", 15, "left"))


class Screen:
    """Prints summaries on standard output, and a progress bar where there is a terminal.

    Args:
        source: What is watched.
        duration: Seconds of the source to watch; None for all.
        about: Values that all records have.
    """

    def __init__(
        self, source: Source, duration: float | None, about: Mapping[str, str] = {}
    ) -> None:
        self._source = source
        self._about = about
        self._total = duration or source.duration_s or None
        self._console: Any = None
        self._progress: Any = None
        self._has_header = False

    def print_notice(self) -> None:
        """Tell a person at a terminal what this is not for, until a purpose is declared."""
        if not self._about and sys.stderr.isatty():
            sys.stderr.write(_NOTICE)

    def print_minute(self, records: list[dict[str, Any]]) -> None:
        """Print the records of a minute; see `MinuteSummaries`."""
        if not sys.stdout.isatty():
            sys.stdout.writelines(json_line({**record, **self._about}) for record in records)
            sys.stdout.flush()
            return
        table = _table(records)
        table.show_header = not self._has_header
        self._console.print(table)
        self._has_header = True

    def add(self, result: FrameResult) -> None:
        """Advance the progress bar to the frame's time."""
        if self._progress is not None:
            dropped = f"{self._source.dropped} dropped" if self._source.live else ""
            self._progress.update(0, completed=result.frame.time_s, dropped=dropped)

    @contextlib.contextmanager
    def progress(self) -> Iterator[None]:
        """Show the progress bar for the length of the block."""
        if not (sys.stdout.isatty() or sys.stderr.isatty()):
            yield
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        # Rows are printed above the bar, on the same terminal.
        self._console = clean_console(sys.stdout if sys.stdout.isatty() else sys.stderr)
        time = TextColumn("{task.completed:.0f} s {task.fields[dropped]}")
        columns = (BarColumn(), time, TimeRemainingColumn())
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._progress.add_task("", total=self._total, dropped="")
            yield
        self._progress = None


def _table(records: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name, width, side in _COLUMNS:
        table.add_column(name, width=width, justify=side)  # type: ignore[arg-type]
    table.add_column("looks", width=5, justify="right")
    table.add_column("", width=_BAR_WIDTH)
    table.add_column("showed", overflow="fold")
    for number, record in enumerate(records):
        ranked = sorted(record["shown"].items(), key=lambda item: -item[1])
        bar = Text()
        for name, share in ranked:
            bar.append("█" * round(_BAR_WIDTH * share), style=_style(name))
        table.add_row(
            "" if number else str(record["minute"]),
            str(record["track"]),
            f"{clock(record['from_s'])} - {clock(record['to_s'])}",
            str(record["looks"]),
            bar,
            ", ".join(f"{clean_line(name)} {share:.0%}" for name, share in ranked[:3]),
        )
    return table


def _style(name: str) -> str:
    red, green, blue = COLOURS.get(name, _OTHER_COLOUR)
    return f"rgb({red},{green},{blue})"
