"""A registry described for a person: a line a release, or all about one."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# The numbers that stand in a release's line, where its record has them.
_HEADLINES = (("accuracy", "accuracy", "{:.1%}"), ("rmse_px", "RMSE px", "{:.2f}"))


def print_description(console: Console, facts: dict[str, Any]) -> None:
    """Print what `components.registry.description.describe` found."""
    releases = facts["releases"]
    console.print(f"Registry  {facts['registry']}", highlight=False, soft_wrap=True)
    champion = facts["champion"]
    console.print(f"Champion  {champion or 'none: nothing was rolled out yet'}", highlight=False)
    if "serving" in facts:
        _print_serving(console, facts["serving"])
    if not releases:
        console.print("Releases  none: `emotion-ai run` publishes one", highlight=False)
        return
    if len(releases) == 1 and "files" in releases[0]:
        _print_release(console, releases[0])
    else:
        _print_releases(console, releases)


def _print_serving(console: Console, serving: dict[str, Any]) -> None:
    states = ", ".join(f"{version} {state}" for version, state in serving["versions"].items())
    console.print(f"Serving   {serving['server']}: {states or 'nothing yet'}", highlight=False)
    for version, error in serving["errors"].items():
        console.print(f"          {version}: {escape(error)}", highlight=False)


def _print_releases(console: Console, releases: list[dict[str, Any]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("release", "created", "run", "test split", "trained on", ""):
        table.add_column(column)
    for release in reversed(releases):
        name = f"{release['version']}{' *' if release['is_champion'] else ''}"
        if "error" in release:
            table.add_row(name, "", "", "", "", f"[red]{escape(release['error'])}[/]")
            continue
        sources = dict.fromkeys(escape(data["source"]) for data in release["data"].values())
        forced = f"forced: {escape(release['gate']['forced'])}" if release["gate"]["forced"] else ""
        table.add_row(
            name,
            release["created"],
            release["run_id"],
            ", ".join(_headlines(release["metrics"])),
            ", ".join(sources),
            forced,
        )
    console.print(table)
    console.print("* the champion: what servers answer with", highlight=False)


def _headlines(metrics: dict[str, Any]) -> list[str]:
    shown = []
    for score, title, form in _HEADLINES:
        # Metrics are <half>/<split>/<score>, splits in their order: the test split is the last.
        values = [value for name, value in metrics.items() if name.split("/")[-1] == score]
        if values and values[-1] is not None:
            shown.append(f"{title} {form.format(values[-1])}")
    return shown


def _print_release(console: Console, release: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    champion = " (champion)" if release["is_champion"] else ""
    rows: list[tuple[str, Any]] = [
        ("release", f"{release['version']}{champion}"),
        ("where", release["uri"]),
        ("created", release["created"]),
        ("run", release["run_id"]),
        ("code", release["revision"]),
        ("parent", release["parent"] or "none"),
        ("labels", f"{release['label_set']}: {', '.join(release['labels'])}"),
        ("content", release["content_digest"]),
    ]
    for half, data in release["data"].items():
        rows.append((half, f"{data['rows']} faces of {data['source']}, {data['fingerprint'][:12]}"))
    rows += [("accepted", reason) for reason in release["gate"]["reasons"]]
    rows += [(name, f"{v:.4f}") for name, v in release["metrics"].items() if v is not None]
    rows += [("package", f"{name} {v}") for name, v in release["packages"].items()]
    rows.append(("files", len(release["files"])))
    for name, value in rows:
        table.add_row(f"[bold]{name}[/]", escape(str(value)))
    console.print(table)
