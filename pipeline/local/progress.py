"""What happens in a local run while it happens: KFP's log lines as events of named steps."""

import builtins
import contextlib
import io
import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

State = Literal["running", "done", "cached", "failed"]

# The messages of kfp.local 2.17: task_dispatcher.py and orchestrator/task_executor.py.
_EXECUTING = re.compile(r"^Executing task .*?'([^']+)'")
_FINISHED = re.compile(r"^Task .*?'([^']+)'.* finished with status .*?(SUCCESS|FAILURE)")
_CACHED = re.compile(r"^Task (\S+) cache hit")
_TAIL_LINES = 5
_ERROR_LINE = re.compile(r"emotion-ai: error \(exit code (\d)\): (.*)")


@dataclass
class Step:
    """A step as it went; `lines` are the last that it printed."""

    name: str
    state: State = "running"
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)


@dataclass
class RunMonitor:
    """Follows a run of KFP's local runner; `on_change` hears of each step's start, line and end."""

    names: dict[str, str]
    log: TextIO
    on_change: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)
    failure: tuple[int, str] | None = None
    _started: float = 0.0

    def on_log(self, message: str) -> None:
        """Take one message of the runner."""
        self.log.write(message + "\n")
        if match := _EXECUTING.match(message):
            self._started = time.monotonic()
            self._change(Step(self.names.get(match[1], match[1])))
        elif match := _CACHED.match(message):
            self._change(Step(self.names.get(match[1], match[1]), "cached"))
        elif (match := _FINISHED.match(message)) and self.steps:
            step = self.steps[-1]
            step.seconds = time.monotonic() - self._started
            step.state = "done" if match[2] == "SUCCESS" else "failed"
            if step.state == "failed":
                self.failure = self.failure or (1, _last_words(step))
            self.on_change(step)

    def on_output(self, line: str) -> None:
        """Take one line of a step's output."""
        self.log.write(line + "\n")
        text = line.strip()
        if match := _ERROR_LINE.search(text):
            self.failure = self.failure or (int(match[1]), match[2])
        if text and self.steps and self.steps[-1].state == "running":
            step = self.steps[-1]
            step.lines = [*step.lines[-19:], text]
            self.on_change(step)

    def _change(self, step: Step) -> None:
        self.steps.append(step)
        self.on_change(step)


def _last_words(step: Step) -> str:
    """What a step that did not say why it failed printed last."""
    tail = " / ".join(step.lines[-_TAIL_LINES:])
    return f"failed; its last lines: {tail}" if tail else "failed and printed nothing"


def display_names(spec: dict[str, Any]) -> dict[str, str]:
    """Display name of every task in a compiled pipeline, by the name its component has there."""
    dags = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    return {
        task["componentRef"]["name"].removeprefix("comp-"): task["taskInfo"]["name"]
        for dag in dags
        for task in dag["tasks"].values()
    }


@contextlib.contextmanager
def capture_run(monitor: RunMonitor) -> Iterator[None]:
    """Send what KFP's local runner logs and its steps print to `monitor` while the block runs."""

    class Heard(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            monitor.on_log(record.getMessage())
            return False

    heard, printed = Heard(), builtins.print
    root = logging.getLogger()
    level = root.level
    # A filter, because the runner replaces the root logger's handlers. The level, because it tells
    # of a cache hit outside of its own logging context.
    root.addFilter(heard)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(_Lines(monitor.on_output)), warnings.catch_warnings():
            # That resources and display names mean nothing locally is known.
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(heard)
        root.setLevel(level)
        builtins.print = printed
        sys.stdout.flush()


class _Lines(io.TextIOBase):
    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)
