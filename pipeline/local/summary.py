"""What `emotion-ai run` prints: progress while the run works, and a summary at its end."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from emotion_ai.pipeline.local.progress import Step
from emotion_ai.pipeline.local.run import LocalRun
from emotion_ai.rollouts.settings import TlsFiles

_MARKS = {"done": "[green]done[/]", "cached": "[cyan]cached[/]", "failed": "[red]failed[/]"}
# Lines in which a step reports its progress; where there is no terminal only these are printed.
# Those of a rollout begin with the time of day.
_PROGRESS_LINE = re.compile(r"epoch |resuming |starting anew|\d\d:\d\d:\d\d ")
_MAX_LIVE_CHARACTERS = 90


class Progress:
    """Prints each step as it goes: one live line on a terminal, plain lines elsewhere.

    Example:
        progress = Progress(Console())
        try:
            run = run_locally(settings, "local", progress)
        finally:
            progress.close()
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._spinner = Spinner("dots", style="status.spinner")
        self._running: dict[str, str] = {}

    def __call__(self, step: Step) -> None:
        """Print a step that started, printed a line or ended."""
        line = step.lines[-1] if step.lines else ""
        if step.state == "running":
            self._running[step.name] = line
        else:
            self._running.pop(step.name, None)
            self._print_end(step)
        if self._console.is_terminal:
            self._update_live()
        elif step.state == "running" and _PROGRESS_LINE.match(line):
            text = f"    {step.name}: {escape(line)}"
            self._console.print(text, highlight=False, soft_wrap=True)

    def _print_end(self, step: Step) -> None:
        seconds = f"{step.seconds:6.1f} s" if step.state != "cached" else " " * 8
        self._console.print(f"  {step.name:<22} {seconds}  {_MARKS[step.state]}", highlight=False)

    def _update_live(self) -> None:
        if not self._running:
            self.close()
            return
        text = "\n  ".join(
            f"{name}  [dim]{escape(line[:_MAX_LIVE_CHARACTERS])}[/]"
            for name, line in self._running.items()
        )
        if self._live is None:
            # What the steps print is the monitor's: it must not appear above the line.
            self._live = Live(
                console=self._console,
                transient=True,
                refresh_per_second=12.5,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._spinner.update(text=text)
        self._live.update(self._spinner)

    def close(self) -> None:
        """Remove the live line."""
        if self._live:
            self._live.stop()
            self._live = None


def print_summary(console: Console, run: LocalRun) -> None:
    """Print the gate's checks, the outcome, the predictions and the commands to continue with."""
    if adopted := run.record["steps"].get("resolve", {}).get("adopted"):
        console.print(f"\nBefore the run: {escape(adopted)}", highlight=False, soft_wrap=True)
    _print_gate(console, run.record["steps"]["gate"])
    _print_outcome(console, run)
    if run.predictions:
        _print_predictions(console, run.predictions)
    console.print(f"Report   {escape(run.page)}", highlight=False, soft_wrap=True)
    console.print(f"Log      {run.log}", highlight=False, soft_wrap=True)
    if run.record["champion"]:
        first = "See what serves" if run.namespace else "Serve it"
        console.print(f"\n{first}, and ask it again from another terminal:", soft_wrap=True)
        for command in _next_commands(run):
            console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"\n{run.seconds:.0f} s in all", highlight=False)


def summary_as_json(run: LocalRun, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the summary that `emotion-ai run --json` prints.

    Args:
        run: The run.
        settings: The settings in force, for JSON.
    """
    record = run.record
    gate = record["steps"]["gate"]
    return {
        "run_id": run.run_id,
        "outcome": record["outcome"],
        "reasons": gate["reasons"] if record["outcome"] == "accepted" else record["reasons"],
        "release": record["release"],
        "champion": record["champion"],
        "seconds": round(run.seconds, 1),
        "steps": [
            {"name": s.name, "state": s.state, "seconds": round(s.seconds, 2)} for s in run.steps
        ],
        "gate": gate,
        "answers": run.predictions,
        "report": run.page,
        "log": str(run.log),
        "settings": settings,
    }


def _next_commands(run: LocalRun) -> list[str]:
    """Return the commands that serve the release, or describe it, and predict the faces again."""
    # `make run` activates no environment: the command needs its path then.
    installed = shutil.which("emotion-ai") is not None
    command = "emotion-ai" if installed else shlex.quote(_relative_path(sys.argv[0]))
    registry = shlex.quote(_relative_path(run.registry))
    faces = shlex.quote(str(run.faces[0].parent)) + "/*.png"
    options = _tls_options(run.tls) if run.tls else ""
    server = f"--server 127.0.0.1:8500{options}"
    predict = f"{command} predict {faces} --faces whole {server} --format table"
    if not run.namespace:
        return [f"{command} serve --registry {registry} --port 8500", predict]
    cluster = f"--target kubernetes --namespace {run.namespace}"
    return [
        f"{command} describe --registry {registry} {cluster}",
        f"kubectl -n {run.namespace} port-forward service/emotion-ai 8500",
        predict,
    ]


def _tls_options(files: TlsFiles) -> str:
    """Return the options with which a client reaches servers with TLS; "" for plain text."""
    if not files.authority and not files.certificate:
        return ""
    named = {
        "--tls-ca": files.authority,
        "--tls-certificate": files.certificate,
        "--tls-key": files.key,
        # An address is seldom among the names in a certificate.
        "--tls-name": files.name,
    }
    return "".join(f" {option} {shlex.quote(path)}" for option, path in named.items() if path)


def _print_gate(console: Console, gate: dict[str, Any]) -> None:
    console.print("\nThe gate")
    for check in gate["checks"]:
        mark = "[green]passed[/]" if check["passed"] else "[red]failed[/]"
        console.print(f"  {mark}  {escape(check['sentence'])}", highlight=False, soft_wrap=True)


def _print_outcome(console: Console, run: LocalRun) -> None:
    record = run.record
    colour = "green" if record["outcome"] == "accepted" else "red"
    console.print(
        f"\n[bold {colour}]{record['outcome']}[/]{_force_note(record)}: ", end="", soft_wrap=True
    )
    if record["outcome"] == "rejected":
        reasons = "; ".join(map(escape, record["reasons"]))
        console.print(reasons, highlight=False, soft_wrap=True)
        champion = record["champion"]
        serving = f"release {champion} still answers" if champion else "no release answers"
        console.print(serving, highlight=False)
        return
    is_new = record["steps"]["push"].get("new", True)
    note = "" if is_new else ", published before: same content"
    rollout = record["steps"].get("rollout", {})
    if rollout.get("outcome") == "superseded":
        note += f"; superseded: {escape('; '.join(rollout['reasons']))}"
    console.print(f"release {record['release']}{note}", highlight=False, soft_wrap=True)


def _force_note(record: dict[str, Any]) -> str:
    reason = record["steps"]["gate"]["forced"]
    if record["outcome"] != "accepted" or not reason:
        return ""
    return f" by force ({escape(reason)})"


def _print_predictions(console: Console, predictions: list[dict[str, Any]]) -> None:
    title = "It answers over gRPC; a picture is named after its emotion in the source"
    table = Table(box=None, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for column in ("picture", "answer", "probability", "nose tip at", "release"):
        table.add_column(column)
    for prediction in predictions:
        x, y = prediction["keypoints"]["nose_tip"]
        table.add_row(
            escape(Path(prediction["file"]).name),
            escape(prediction["emotion"]),
            f"{prediction['probabilities'][prediction['emotion']]:.0%}",
            f"({x:.1f}, {y:.1f})",
            str(prediction["model_version"]),
        )
    console.print()
    console.print(table)
    console.print()


def _relative_path(path: str) -> str:
    """Return a path below the current folder as relative to it, and any other path or URI as is."""
    folder = Path.cwd()
    if "://" not in path and Path(path).is_relative_to(folder):
        return f"./{Path(path).relative_to(folder)}"
    return path
