"""Prints the description of a registry: a few lines per release, or all about one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape

from emotion_ai.errors import one_line
from emotion_ai.faces.kinds import KINDS
from emotion_ai.faces.split_words import split_of
from emotion_ai.pipeline.cluster_printer import print_cluster

# Metrics shown of every release, for each split: name, title and format.
_HEADLINES = (("accuracy", "accuracy", "{:.1%}"), ("rmse_px", "RMSE", "{:.2f} px"))


def print_registry(console: Console, description: dict[str, Any]) -> None:
    """Print a registry.

    Args:
        console: Where to print.
        description: From `emotion_ai.rollouts.description.describe`, and of all releases also from
            `emotion_ai.registry.run_list.list_runs`.
    """
    releases = description["releases"]
    console.print(f"Registry  {escape(description['registry'])}", highlight=False, soft_wrap=True)
    champion = description["champion"] or "none: nothing was rolled out yet"
    console.print(f"Champion  {champion}", highlight=False)
    if "serving" in description:
        _print_serving(console, description["serving"])
    is_one_release = len(releases) == 1 and "files" in releases[0]
    if "cluster" in description:
        print_cluster(console, description)
        if not is_one_release:
            return
    if not releases:
        console.print("Releases  none: `emotion-ai run` publishes one", highlight=False)
    elif is_one_release:
        _print_release(console, releases[0])
    else:
        _print_releases(console, releases)
    if description.get("runs"):
        _print_runs(console, description)


def _print_serving(console: Console, serving: dict[str, Any]) -> None:
    states = ", ".join(f"{version} {state}" for version, state in serving["versions"].items())
    console.print(
        f"Serving   {escape(serving['server'])}: {states or 'nothing yet'}", highlight=False
    )
    for version, error in serving["errors"].items():
        console.print(f"          {version}: {escape(one_line(error))}", highlight=False)


def _print_releases(console: Console, releases: list[dict[str, Any]]) -> None:
    for release in reversed(releases):
        star = " *" if release["is_champion"] else ""
        console.print(f"\n[bold]Release {release['version']}{star}[/]", highlight=False)
        for name, value in _summary_rows(release):
            console.print(f"  {name:<13}{escape(one_line(value))}", highlight=False, soft_wrap=True)
    console.print("\n* the champion: what servers answer with", highlight=False)


def _summary_rows(release: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "error" in release:
        yield "damaged", release["error"]
        return
    yield "published", f"{release['created']} by run {release['run_id']}"
    for kind, data in release["data"].items():
        yield kind, f"{data['rows']:,} faces of {data['source']}"
    # Metrics are named KIND/SPLIT/METRIC.
    metrics = {tuple(name.split("/")): value for name, value in release["metrics"].items()}
    for metric, title, template in _HEADLINES:
        scores = {
            key[1]: template.format(value)
            for key, value in metrics.items()
            if key[2:] == (metric,) and value is not None
        }
        yield title, ", ".join(f"{split} {scores[split]}" for split in sorted(scores, key=split_of))
    gate = release["gate"]
    yield "accepted", f"by force: {gate['forced']}" if gate["forced"] else gate["reasons"][0]


def _print_runs(console: Console, description: dict[str, Any]) -> None:
    """Print the newest runs, one a line, the newest last."""
    rows = [("RUN", "OUTCOME", "RELEASE", "FINISHED (UTC)", "TOOK")]
    for run in description["runs"]:
        finished = run["finished"].replace("T", " ")[: len("2026-11-26 03:00")]
        took = "" if run["seconds"] is None else str(timedelta(seconds=int(run["seconds"])))
        release = "" if run["release"] is None else str(run["release"])
        rows.append((run["run_id"], run["outcome"], release, finished, took))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    console.print()
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        line = escape(one_line("  ".join(cells)))
        console.print(line, highlight=False, soft_wrap=True)
    if earlier := description["earlier_runs"]:
        console.print(f"and {earlier} before them", highlight=False)


def _print_release(console: Console, release: dict[str, Any]) -> None:
    rows = [*_detail_rows(release)]
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        console.print(
            f"[bold]{name:<{width}}[/]{escape(one_line(str(value)))}",
            highlight=False,
            soft_wrap=True,
        )


def _detail_rows(release: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    champion = " (champion)" if release["is_champion"] else ""
    yield "release", f"{release['version']}{champion}"
    yield "where", release["uri"]
    yield "created", release["created"]
    yield "run", release["run_id"]
    yield "code", release["revision"]
    yield "parent", release["parent"] or "none"
    yield "labels", f"{release['label_set']}: {', '.join(release['labels'])}"
    yield "content", release["content_digest"]
    for kind, data in release["data"].items():
        yield kind, f"{data['rows']} faces of {data['source']}, {data['fingerprint'][:12]}"
    for seen in release["seen"]:
        yield "seen before", f"{seen['source']}, {seen['fingerprint'][:12]}, by {seen['through']}"
    for reason in release["gate"]["reasons"]:
        yield "accepted", reason
    for name, value in release["metrics"].items():
        if value is not None:
            yield name, f"{value:.4f}"
    for line in _lite_lines(release["lite"]):
        yield "model.tflite", line
    for name, version in release["packages"].items():
        yield "package", f"{name} {version}"
    yield "files", len(release["files"])


def _lite_lines(lite: dict[str, Any]) -> Iterator[str]:
    if not lite:
        yield "none: every server answers from saved_model.pb"
        return
    yield f"weights of {lite['weights']}; answers a server with --prefer_tflite_model"
    for kind in KINDS.values():
        metric = kind.metric
        if scores := lite.get(kind.name):
            yield (
                f"{metric} {scores[metric]:.4f}; "
                f"saved_model.pb {scores[f'{metric}_saved_model']:.4f} ({scores['rows']:.0f} faces)"
            )
