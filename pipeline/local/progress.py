"""Progress of a local run: KFP's log lines and the steps' output, as states of named steps."""

import contextlib
import io
import logging
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TextIO

from emotion_ai.terminal import clean

State = Literal["running", "done", "cached", "failed"]

# The messages of kfp.local 2.17: task_dispatcher.py and orchestrator/task_executor.py.
_EXECUTING = re.compile(r"^Executing task '([^']+)'")
_FINISHED = re.compile(r"^Task '[^']+' finished with status (SUCCESS|FAILURE)")
_CACHED = re.compile(r"^Task (\S+) cache hit")
_COLOUR = re.compile(r"\x1b\[\d+m")
_ERROR_LINE = re.compile(r"emotion-ai: error \(exit code (\d)\): (.*)")
_MAX_LINES = 20
_MAX_LINES_IN_FAILURE = 5


@dataclass
class Step:
    """A step of a run.

    Attributes:
        name: Its display name.
        state: running, done, cached or failed.
        seconds: Its duration, once it ended.
        lines: The last lines that it printed.
    """

    name: str
    state: State = "running"
    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)


class Failure(NamedTuple):
    """Why a step failed.

    Attributes:
        step: The step; None if KFP failed.
        code: Its exit code: 2 for a mistake of the user's, else 1.
        message: One sentence.
    """

    step: Step | None
    code: int
    message: str


class RunMonitor:
    """Follows a run of KFP's local runner, which runs each step in a thread.

    Args:
        names: Display names of the tasks, by the names in KFP's log.
        log: Receives every line.
        on_change: Called with a step when it starts, prints a line or ends; by one thread at a
            time.

    Attributes:
        steps: The steps so far, in the order in which they started.
        failure: The first failure.
    """

    def __init__(
        self, names: dict[str, str], log: TextIO, on_change: Callable[[Step], None]
    ) -> None:
        self.steps: list[Step] = []
        self.failure: Failure | None = None
        self._names = names
        self._log = log
        self._on_change = on_change
        self._lock = threading.RLock()
        self._of_thread = _OfThread()

    def on_log(self, message: str) -> None:
        """Handle a log message of the runner, in the thread of the step that it is about."""
        message = clean(_COLOUR.sub("", message))
        with self._lock:
            self._write(message)
            if match := _EXECUTING.match(message):
                self._add(Step(self._names.get(match[1], match[1])))
            elif match := _CACHED.match(message):
                self._add(Step(self._names.get(match[1], match[1]), "cached"))
            elif match := _FINISHED.match(message):
                self._end("done" if match[1] == "SUCCESS" else "failed")

    def on_output(self, line: str) -> None:
        """Handle a line of a step's output, in the step's thread."""
        line = clean(line)
        text = line.strip()
        with self._lock:
            self._write(line)
            if match := _ERROR_LINE.search(text):
                self._fail(int(match[1]), match[2])
            step = self._of_thread.step
            if text and step and step.state == "running":
                step.lines = [*step.lines, text][-_MAX_LINES:]
                self._on_change(step)

    def silence(self) -> None:
        """Tell of no step any more; the log goes on."""
        self._on_change = lambda step: None

    def _write(self, line: str) -> None:
        """Write a line to the log, with the step's name: those of several steps are mixed there."""
        step = self._of_thread.step
        name = f"{step.name:<19} " if step and step.state == "running" else ""
        self._log.write(f"{name}{line}".rstrip() + "\n")

    def _add(self, step: Step) -> None:
        self._of_thread.step = step
        self._of_thread.started = time.monotonic()
        self.steps.append(step)
        self._on_change(step)

    def _end(self, state: State) -> None:
        step = self._of_thread.step
        if step is None:
            return
        step.seconds = time.monotonic() - self._of_thread.started
        step.state = state
        if state == "failed":
            self._fail(1, _describe_failure(step))
        self._on_change(step)

    def _fail(self, code: int, message: str) -> None:
        self.failure = self.failure or Failure(self._of_thread.step, code, message)


class _OfThread(threading.local):
    """The step that a thread runs, and when it started."""

    step: Step | None = None
    started: float = 0.0


def _describe_failure(step: Step) -> str:
    """Describe the failure of a step that printed no error line: by its last lines."""
    tail = " / ".join(step.lines[-_MAX_LINES_IN_FAILURE:])
    return f"failed; its last lines: {tail}" if tail else "failed and printed nothing"


def display_names(spec: dict[str, Any]) -> dict[str, str]:
    """Return the display name of every task in a compiled pipeline, by its component's name.

    Args:
        spec: The compiled pipeline, as parsed from its YAML file.
    """
    dags = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    return {
        task["componentRef"]["name"].removeprefix("comp-"): task["taskInfo"]["name"]
        for dag in dags
        for task in dag["tasks"].values()
    }


@contextlib.contextmanager
def capture_run(monitor: RunMonitor) -> Iterator[None]:
    """Send what KFP's local runner logs and its steps print to a monitor while the block runs."""
    from kfp.local import logging_utils

    class MonitorFilter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            monitor.on_log(record.getMessage())
            return False

    monitor_filter = MonitorFilter()
    # KFP replaces the root logger's handlers, and `print` to indent it, in each thread that runs a
    # step, and threads may restore them in the wrong order.
    indented_print = logging_utils.indented_print
    logging_utils.indented_print = contextlib.nullcontext
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    # A filter, because the runner replaces the handlers. The level, because it logs a cache hit
    # outside of its own logging context.
    root.addFilter(monitor_filter)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(_LineStream(monitor.on_output)), warnings.catch_warnings():
            # KFP warns that resources and display names are ignored locally.
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(monitor_filter)
        root.setLevel(level)
        root.handlers[:] = handlers
        logging_utils.indented_print = indented_print
        sys.stdout.flush()


class _LineStream(io.TextIOBase):
    """A text stream that passes on complete lines, those of each thread for themselves."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._of_thread = _Rest()

    def write(self, text: str) -> int:
        *lines, self._of_thread.rest = (self._of_thread.rest + text).split("\n")
        for line in lines:
            self._on_line(line)
        return len(text)


class _Rest(threading.local):
    """What a thread has written of a line."""

    rest: str = ""
