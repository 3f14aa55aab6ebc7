"""Prints what serves in a cluster, and how a rollout ended."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape

from emotion_ai.errors import one_line

_COLUMNS = ("RELEASE", "CHAMPION", "SERVING", "REVISION", "SINCE (UTC)", "BY")
_GAP = "  "


def print_cluster(console: Console, description: dict[str, Any]) -> None:
    """Print the releases of a registry and of a cluster as one table, and the state of rollouts.

    Args:
        console: Where to print.
        description: From `emotion_ai.rollouts.description.describe`, with a cluster.
    """
    cluster = description["cluster"]
    _print(
        console,
        f"Cluster   {cluster['address']}: deployment {cluster['deployment']} in "
        f"{cluster['namespace']}",
    )
    if cluster["release"] is None:
        _print(console, "Serving   nothing: the pods wait for the first rollout")
    if rows := [*_rows(description)]:
        console.print()
        for row in _align([_COLUMNS, *rows]):
            _print(console, row)
        console.print()
    if cluster["canary"]:
        _print(console, f"Canary    {_canary_words(cluster['canary'])}")
    _print(console, f"Rollout   {_rollout_words(cluster['rollout'])}")
    for warning in cluster["warnings"]:
        console.print(
            f"[bold yellow]Warning[/]   {escape(one_line(warning))}",
            highlight=False,
            soft_wrap=True,
        )


def _print(console: Console, line: str) -> None:
    console.print(one_line(line), highlight=False, soft_wrap=True, markup=False)


def _rows(description: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Build a row for every release of the registry and of the cluster, the newest first."""
    known = {entry["release"]: entry for entry in description["cluster"]["releases"]}
    published = {release["version"] for release in description["releases"]}
    canary = description["cluster"]["canary"] or {"release": None}
    is_complete = description["cluster"]["is_complete"]
    rolling_out = None if is_complete else description["cluster"]["release"]
    for version in sorted(published | known.keys(), reverse=True):
        entry = known.get(version, {"ready": 0, "wanted": 0, "revision": "", "since": "", "by": ""})
        serving = f"{entry['ready']}/{entry['wanted']}" if entry["ready"] or entry["wanted"] else ""
        if version == canary["release"] and canary["is_reached"]:
            serving = f"{serving} + canary".removeprefix(" + ")
        champion = "*" if version == description["champion"] else ""
        yield (
            str(version),
            champion,
            serving,
            entry["revision"],
            "rolling out" if version == rolling_out else _minute(entry["since"]),
            entry["by"],
        )


def _align(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield _GAP.join(cells).rstrip()


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")


def _canary_words(canary: dict[str, Any]) -> str:
    words = f"release {canary['release']}"
    if canary["failure"]:
        return f"{words} failed: {canary['failure']} (job {canary['job']})"
    if canary["node"]:
        words += f" on {canary['node']}"
    proven = "proven" if canary["is_proven"] else "not proven yet"
    reached = "answers callers" if canary["is_reached"] else "no caller reaches it"
    words += f": {proven}, {reached}"
    return f"{words}; gone at the latest at {_minute(canary['ends'])}" if canary["ends"] else words


def _rollout_words(rollout: dict[str, Any]) -> str:
    if rollout["phase"] == "done":
        proven = rollout["proven"]
        words = "none under way; " + (
            f"release {proven} was proven last" if proven else "none was proven yet"
        )
    else:
        words = (
            f"release {rollout['release']} by {rollout['run']}: {rollout['phase']} since "
            f"{_minute(rollout['since'])}"
        )
    if not rollout["holder"]:
        return words
    alive = "" if rollout["is_alive"] else ", which does not renew it any more"
    return f"{words}; the lease is held by {rollout['holder']}{alive}"


def rollout_lines(record: dict[str, Any]) -> Iterator[str]:
    """Say how a rollout ended.

    Args:
        record: From `emotion_ai.rollouts.targets.roll_out`.

    Yields:
        One line or two.
    """
    start = f"release {record['version']}"
    if record["target"] == "local":
        previous = record["previous"] or "none"
        yield (
            f"{start} answers at {record['server']} (before: {previous}); "
            f"{record['answers_checked']} golden answers agree within "
            f"{record['largest_difference']:.1g}"
        )
        return
    if record["outcome"] == "superseded":
        yield f"{start}: superseded: {'; '.join(record['reasons'])}"
        return
    if canary := record.get("canary"):
        yield (
            f"{start}: canary on {canary['node']} proven ({canary['golden']} golden answers, "
            f"largest difference {canary['largest_difference']:.1g}), {_judgement(canary)}"
        )
    yield f"{start}: {_servers_words(record)}; {_duration(record['seconds'])}"


def _judgement(canary: dict[str, Any]) -> str:
    return str(canary.get("summary") or f"judged by {canary['judged_by']}")


def _servers_words(record: dict[str, Any]) -> str:
    canary = record.get("canary", {}).get("pod")
    pods = [endpoint for endpoint in record["endpoints"] if endpoint["pod"] != canary]
    answer = (
        f"revision {record['revision']}, {len(pods)} of {record['replicas']} pods answer as "
        f"release {record['version']}"
    )
    if record["outcome"] == "unchanged":
        return f"served before, {answer}"
    return f"promoted, {answer} (before: {record['previous'] or 'none'})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
