"""The data report as a page: counts, findings, faces to look at, bad rows, histograms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emotion_ai.faces.arrays import Faces, Rows
from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.faces.kinds import KEYPOINTS
from emotion_ai.html_page import (
    COLOURS,
    Section,
    figure_html,
    image_html,
    table_html,
    write_page,
)
from emotion_ai.steps.ingest.check_results import CheckResult
from emotion_ai.steps.ingest.counts import IngestCounts

_FACES_PER_EMOTION = 16
_KEYPOINT_FACES = 24
_KEYPOINT_COLUMNS = 8
_BAD_ROWS_SHOWN = 100
_SCATTER_FACES = 1000
_VERDICT_CLASS = {"ok": "good", "warning": "", "stop": "bad"}


def write_report(
    path: str,
    faces: Faces,
    tally: IngestCounts,
    found: Sequence[CheckResult],
    statistics: dict[str, Any],
) -> None:
    """Write the page; `statistics` are those of `summarise`."""
    kind = faces.info.kind
    tiles = [
        ("rows read", f"{tally.read:,}"),
        ("faces kept", f"{len(faces):,}"),
        ("rows left out", f"{tally.left_out:,}"),
        *[
            (name, f"{faces.info.counts[f'split/{name}']:,}")
            for name in faces.info.split_names
            if f"split/{name}" in faces.info.counts
        ],
    ]
    if tally.other_emotions:
        tiles.append(("rows of other emotions", f"{tally.other_emotions:,}"))
    if statistics["subjects"]:
        tiles.append(("people", f"{statistics['subjects']:,}"))
    sections = [Section("Checks", _findings(found))]
    if len(faces):
        if kind == KEYPOINTS.name:
            sections += _keypoint_sections(faces, tally.faces(), statistics["keypoints"])
        else:
            sections += _emotion_sections(faces, tally.faces())
    sections += [
        Section("Rows left out", _bad_rows(tally)),
        Section("Source", _source(faces, statistics)),
    ]
    write_page(path, f"Data report: {kind}", _lead(faces, found), tiles, sections)


def _lead(faces: Faces, found: Sequence[CheckResult]) -> str:
    stopping = [finding.check for finding in found if finding.verdict == "stop"]
    if stopping:
        return f"{faces.info.source} is refused: {', '.join(stopping)}."
    warnings = sum(finding.verdict == "warning" for finding in found)
    if not warnings:
        return f"{faces.info.source} passes every check."
    return f"{faces.info.source} is accepted; {warnings} checks warn."


def _findings(found: Sequence[CheckResult]) -> Markup:
    columns = ("check", "what", "rows", "share", "limit", "verdict", "first rows")
    return table_html(
        columns,
        [
            (
                finding.check,
                f"{finding.title} ({finding.note})" if finding.note else finding.title,
                f"{finding.count:,}",
                f"{finding.value:.2%}",
                f"{finding.bound} {finding.limit:.2%}",
                Markup('<span class="{}">{}</span>').format(
                    _VERDICT_CLASS[finding.verdict], finding.verdict
                ),
                ", ".join(finding.files[:5] or [str(row) for row in finding.rows[:5]]),
            )
            for finding in found
        ],
    )


def _emotion_sections(faces: Faces, row_index: pd.DataFrame) -> list[Section]:
    strips = []
    for code, label in enumerate(faces.info.labels):
        of_label = row_index[row_index["target"] == code]
        rows = _sample(faces, of_label, _FACES_PER_EMOTION)
        if len(rows):
            picture = image_html(np.hstack(list(rows.images)), f"{len(rows)} faces: {label}")
            strips.append((label, f"{len(of_label):,}", picture))
    return [
        Section("Faces of each emotion", table_html(("emotion", "faces", "some"), strips)),
        Section("Class balance and brightness", _emotion_histograms(faces, row_index)),
    ]


def _emotion_histograms(faces: Faces, row_index: pd.DataFrame) -> Markup:
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    balance, brightness = figure.subplots(1, 2, width_ratios=(3, 2))
    labels = faces.info.labels
    left = np.zeros(len(labels))
    for colour, (split, group) in zip(COLOURS, row_index.groupby("split"), strict=False):
        counts = np.bincount(group["target"], minlength=len(labels))
        balance.barh(labels, counts, left=left, color=colour, label=_split_name(faces, int(split)))
        left += counts
    balance.invert_yaxis()
    balance.set_xlabel("faces")
    balance.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    _draw_brightness(brightness, row_index)
    return figure_html(figure, "faces of each emotion by split; histogram of image brightness")


def _keypoint_sections(
    faces: Faces, row_index: pd.DataFrame, keypoints: dict[str, dict[str, Any]]
) -> list[Section]:
    rows = _sample(faces, row_index, _KEYPOINT_FACES)
    return [
        Section("Faces with their keypoints", _keypoint_sheet(rows)),
        Section("Where the keypoints lie, and brightness", _keypoint_scatter(faces, row_index)),
        Section("Keypoints annotated", _annotated(faces, keypoints)),
    ]


def _keypoint_sheet(rows: Rows) -> Markup:
    lines = -(-len(rows) // _KEYPOINT_COLUMNS)
    figure = Figure(figsize=(9, 1.25 * lines), layout="constrained")
    axes = figure.subplots(lines, _KEYPOINT_COLUMNS, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, points, number in zip(axes, rows.images, rows.targets, rows.row, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.plot(points[:, 0], points[:, 1], ".", color=COLOURS[1], markersize=3)
        ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
        ax.set_title(f"row {number}", fontsize=7, pad=2)
    return figure_html(figure, f"{len(rows)} faces with their keypoints")


def _keypoint_scatter(faces: Faces, row_index: pd.DataFrame) -> Markup:
    points = _sample(faces, row_index, _SCATTER_FACES).targets
    figure = Figure(figsize=(9, 4), layout="constrained")
    scatter, brightness = figure.subplots(1, 2)
    for k, name in enumerate(NAMES):
        colour = COLOURS[k % len(COLOURS)]
        scatter.plot(*points[:, k].T, ".", color=colour, markersize=1.5, label=name)
    scatter.set(xlim=(0, FRAME), ylim=(FRAME, 0), aspect="equal", xlabel="x [px]", ylabel="y [px]")
    scatter.set_title(f"keypoints of {len(points)} faces", fontsize=10)
    _draw_brightness(brightness, row_index)
    return figure_html(figure, "scatter of the keypoints; histogram of image brightness")


def _annotated(faces: Faces, keypoints: dict[str, dict[str, Any]]) -> Markup:
    counts: NDArray[np.int64] = np.zeros(len(NAMES) + 1, dtype=np.int64)
    for shard in faces.shards():
        given = ~np.isnan(shard.targets).any(axis=2)
        counts += np.bincount(given.sum(axis=1), minlength=len(counts))
    used = np.flatnonzero(counts)[::-1]
    by_number = [(int(k), f"{counts[k]:,}") for k in used]
    columns = ("keypoint", "faces", "mean x", "mean y", "deviation x", "deviation y")
    by_name = [(name, *values.values()) for name, values in keypoints.items()]
    return table_html(("keypoints given", "faces"), by_number) + table_html(columns, by_name)


def _draw_brightness(ax: Any, row_index: pd.DataFrame) -> None:
    ax.hist(row_index["brightness"], bins=np.arange(0, 257, 8), color=COLOURS[0])
    ax.set(xlabel="mean brightness of an image", ylabel="faces", xlim=(0, 256))


def _bad_rows(tally: IngestCounts) -> Markup:
    bad = sorted((row for rows in tally.bad.values() for row in rows), key=lambda each: each.row)
    if not bad:
        return Markup("<p>None.</p>")
    shown = bad[:_BAD_ROWS_SHOWN]
    total = sum(tally.bad_counts.values())
    more = f"The first {len(shown)} of {total:,}. " if total > len(shown) else ""
    if shown[0].file:
        cells = [(each.row, each.file, each.check, each.message) for each in shown]
        return Markup("<p>{}</p>").format(more) + table_html(
            ("row", "file", "check", "what"), cells
        )
    note = Markup("<p>{}Rows count the data from 0, lines the file from 1.</p>").format(more)
    return note + table_html(
        ("row", "line", "column", "check", "what"), [each[:5] for each in shown]
    )


def _source(faces: Faces, statistics: dict[str, Any]) -> Markup:
    ignored = ", ".join(statistics["ignored_columns"]) or "none"
    return table_html(
        ("fact", "value"),
        [
            ("source", faces.info.source),
            ("content fingerprint (SHA-256)", faces.info.fingerprint),
            ("label set", faces.info.label_set or "-"),
            ("image size", f"{faces.info.image_size}x{faces.info.image_size}"),
            ("columns ignored", ignored),
        ],
    )


def _sample(faces: Faces, row_index: pd.DataFrame, count: int) -> Rows:
    """Some faces of an index: the smallest digests are a fair sample, and the same every time."""
    distinct = row_index.drop_duplicates("digest")
    return faces.take(distinct.nsmallest(count, "digest").index.sort_values().to_numpy())


def _split_name(faces: Faces, split: int) -> str:
    names = faces.info.split_names
    return names[split] if split < len(names) else "no split given"
