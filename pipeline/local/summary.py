"""What a person reads of a local run: progress while it works, a short account at its end."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from emotion_ai.pipeline.local.progress import Step
from emotion_ai.pipeline.local.run import LocalRun

_MARKS = {"done": "[green]done[/]", "cached": "[cyan]cached[/]", "failed": "[red]failed[/]"}
# How a step says how far it is; plain output repeats these lines alone.
_PROGRESS_LINES = ("epoch ", "resuming ")


class Progress:
    """Shows each step as it goes: one live line on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Status | None = None

    def __call__(self, step: Step) -> None:
        """Show a step that started, printed a line or ended."""
        if step.state == "running":
            self._show_running(step)
            return
        if self._live:
            self._live.stop()
            self._live = None
        seconds = f"{step.seconds:6.1f} s" if step.state != "cached" else " " * 8
        self._console.print(f"  {step.name:<22} {seconds}  {_MARKS[step.state]}", highlight=False)

    def _show_running(self, step: Step) -> None:
        line = step.lines[-1] if step.lines else ""
        if not self._console.is_terminal:
            if line.startswith(_PROGRESS_LINES):
                self._console.print(f"    {escape(line)}", highlight=False, soft_wrap=True)
            return
        text = f"{step.name}  [dim]{escape(line[:90])}[/]"
        if self._live is None:
            self._live = self._console.status(text)
            self._live.start()
        else:
            self._live.update(text)

    def close(self) -> None:
        """Take the live line away."""
        if self._live:
            self._live.stop()


def print_summary(console: Console, run: LocalRun) -> None:
    """Print the gate's numbers and verdict, the release, the answers and where to go from here."""
    gate = run.record["steps"]["gate"]
    _print_gate(console, gate)
    _print_outcome(console, run)
    if run.answers:
        _print_answers(console, run.answers)
    console.print(f"Report   {run.page}", highlight=False, soft_wrap=True)
    console.print(f"Log      {run.log}", highlight=False, soft_wrap=True)
    if run.record["champion"]:
        console.print("\nServe it, and ask it again from another terminal:")
        for command in commands(run):
            console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"\n{run.seconds:.0f} s in all", highlight=False)


def commands(run: LocalRun) -> list[str]:
    """The two commands that serve the registry and ask the server about the same faces."""
    # `make run` has no environment activated: name the command by its path then.
    command = "emotion-ai" if shutil.which("emotion-ai") else shlex.quote(_short(sys.argv[0]))
    registry = shlex.quote(_short(run.registry))
    faces = shlex.quote(str(run.faces[0].parent)) + "/*.png"
    return [
        f"{command} serve --registry {registry} --port 8500",
        f"{command} predict {faces} --faces whole --server 127.0.0.1:8500 --format table",
    ]


def summary_as_json(run: LocalRun, settings: dict[str, Any]) -> dict[str, Any]:
    """The run as `--json` prints it: outcome, steps, gate, release, answers, settings in force."""
    gate = run.record["steps"]["gate"]
    return {
        "run_id": run.run_id,
        "outcome": run.record["outcome"],
        "reasons": gate["reasons"]
        if run.record["outcome"] == "accepted"
        else run.record["reasons"],
        "release": run.record["release"],
        "champion": run.record["champion"],
        "seconds": round(run.seconds, 1),
        "steps": [
            {"name": s.name, "state": s.state, "seconds": round(s.seconds, 2)} for s in run.steps
        ],
        "gate": gate,
        "answers": run.answers,
        "report": run.page,
        "log": str(run.log),
        "settings": settings,
    }


def _print_gate(console: Console, gate: dict[str, Any]) -> None:
    console.print("\nThe gate")
    for check in gate["checks"]:
        mark = "[green]holds[/]" if check["passed"] else "[red]fails[/]"
        console.print(f"  {mark}  {escape(check['sentence'])}", highlight=False, soft_wrap=True)


def _print_answers(console: Console, answers: list[dict[str, Any]]) -> None:
    title = "It answers over gRPC; a picture is named after its emotion in the source"
    table = Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for column in ("picture", "answer", "probability", "nose tip at", "release"):
        table.add_column(column)
    for answer in answers:
        x, y = answer["keypoints"]["nose_tip"]
        table.add_row(
            escape(_short(answer["file"])),
            answer["emotion"],
            f"{answer['probabilities'][answer['emotion']]:.0%}",
            f"({x:.1f}, {y:.1f})",
            str(answer["model_version"]),
        )
    console.print()
    console.print(table)
    console.print()


def _print_outcome(console: Console, run: LocalRun) -> None:
    record = run.record
    colour = "green" if record["outcome"] == "accepted" else "red"
    console.print(f"\n[bold {colour}]{record['outcome']}[/]: ", end="")
    if record["outcome"] == "rejected":
        console.print("; ".join(map(escape, record["reasons"])), highlight=False)
        champion = record["champion"]
        still = f"release {champion} still answers" if champion else "no release answers"
        console.print(still, highlight=False)
        return
    release = record["release"]
    new = "" if record["steps"]["push"].get("new", True) else ", published before: same content"
    console.print(f"release {release}{new}", highlight=False)


def _short(path: str) -> str:
    """A path below this folder as relative, any other URI as it is."""
    here = Path.cwd()
    if "://" not in path and Path(path).is_relative_to(here):
        return f"./{Path(path).relative_to(here)}"
    return path
