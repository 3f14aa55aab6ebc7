"""A registry described for a person: a line a release, or all about one."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape

from emotion_ai.faces.kinds import KINDS

# The numbers shown of every release, for each split.
_HEADLINES = (("accuracy", "accuracy", "{:.1%}"), ("rmse_px", "RMSE", "{:.2f} px"))


def print_registry(console: Console, facts: dict[str, Any]) -> None:
    """Print what `emotion_ai.rollouts.description.describe` found."""
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
    for release in reversed(releases):
        star = " *" if release["is_champion"] else ""
        console.print(f"\n[bold]Release {release['version']}{star}[/]", highlight=False)
        for name, value in _lines(release):
            console.print(f"  {name:<13}{escape(value)}", highlight=False, soft_wrap=True)
    console.print("\n* the champion: what servers answer with", highlight=False)


def _lines(release: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "error" in release:
        yield "damaged", release["error"]
        return
    yield "published", f"{release['created']} by run {release['run_id']}"
    for half, data in release["data"].items():
        yield half, f"{data['rows']:,} faces of {data['source']}"
    for score, title, form in _HEADLINES:
        # Metrics are named <half>/<split>/<score>.
        parts = {tuple(name.split("/")): value for name, value in release["metrics"].items()}
        values = [
            f"{key[1]} {form.format(value)}"
            for key, value in parts.items()
            if key[2:] == (score,) and value is not None
        ]
        yield title, ", ".join(values)
    gate = release["gate"]
    yield "accepted", f"by force: {gate['forced']}" if gate["forced"] else gate["reasons"][0]


def _lite_lines(lite: dict[str, Any]) -> Iterator[str]:
    if not lite:
        yield "none: every server answers from saved_model.pb"
        return
    yield f"weights of {lite['weights']}; answers a server with --prefer_tflite_model"
    for kind in KINDS.values():
        name = kind.metric
        if scores := lite.get(kind.name):
            yield (
                f"{name} {scores[name]:.4f}; saved_model.pb {scores[f'{name}_saved_model']:.4f} "
                f"({scores['rows']:.0f} faces)"
            )


def _print_release(console: Console, release: dict[str, Any]) -> None:
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
    rows += [("model.tflite", line) for line in _lite_lines(release["lite"])]
    rows += [("package", f"{name} {v}") for name, v in release["packages"].items()]
    rows.append(("files", len(release["files"])))
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        console.print(
            f"[bold]{name:<{width}}[/]{escape(str(value))}", highlight=False, soft_wrap=True
        )
