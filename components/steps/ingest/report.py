"""Write the data report as a page: counts, checks, sample faces, bad rows, histograms."""

from collections.abc import Sequence
from itertools import chain
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

_MAX_FACES_PER_EMOTION = 16
_MAX_KEYPOINT_FACES = 24
_KEYPOINT_COLUMNS = 8
_MAX_BAD_ROWS_SHOWN = 100
_MAX_WORDS_SHOWN = 100
_MAX_SCATTER_FACES = 1000
_VERDICT_CLASS = {"ok": "good", "warning": "", "stop": "bad"}


def write_report(
    path: str,
    faces: Faces,
    counts: IngestCounts,
    results: Sequence[CheckResult],
    statistics: dict[str, Any],
) -> None:
    """Write the data report.

    Args:
        path: The HTML page to write.
        faces: The faces written.
        counts: The counts of the source.
        results: The results of the checks.
        statistics: The result of `statistics.summarise`.
    """
    kind = faces.info.kind
    tiles = [
        ("rows read", f"{counts.rows_read:,}"),
        ("faces kept", f"{len(faces):,}"),
        ("rows left out", f"{counts.rows_left_out:,}"),
        *[
            (name, f"{faces.info.counts[f'split/{name}']:,}")
            for name in faces.info.split_names
            if f"split/{name}" in faces.info.counts
        ],
    ]
    if counts.rows_of_other_emotions:
        tiles.append(("rows of other emotions", f"{counts.rows_of_other_emotions:,}"))
    if counts.labels_corrected or counts.rows_left_out_by_correction:
        tiles.append(("labels corrected", f"{counts.labels_corrected:,}"))
        tiles.append(("left out by correction", f"{counts.rows_left_out_by_correction:,}"))
    if statistics["subjects"]:
        tiles.append(("people", f"{statistics['subjects']:,}"))
    sections = [Section("Checks", _check_table(results))]
    if len(faces):
        if kind == KEYPOINTS.name:
            sections += _keypoint_sections(faces, counts.faces_index(), statistics["keypoints"])
        else:
            sections += _emotion_sections(faces, counts.faces_index())
    if statistics["emotion_words"]:
        sections.append(Section("Emotions as the source writes them", _words_table(statistics)))
    if statistics["groups"]:
        sections.append(Section("Groups of faces", _groups_table(statistics["groups"])))
    sections += [
        Section("Rows left out", _bad_rows_table(counts)),
        Section("Source", _source_table(faces, statistics)),
    ]
    write_page(path, f"Data report: {kind}", _lead(faces, results), tiles, sections)


def _lead(faces: Faces, results: Sequence[CheckResult]) -> str:
    failed = [result.check for result in results if result.verdict == "stop"]
    if failed:
        return f"{faces.info.source} is refused: {', '.join(failed)}."
    warnings = sum(result.verdict == "warning" for result in results)
    if not warnings:
        return f"{faces.info.source} passes every check."
    return f"{faces.info.source} is accepted; {warnings} checks warn."


def _check_table(results: Sequence[CheckResult]) -> Markup:
    columns = ("check", "meaning", "rows", "share", "limit", "verdict", "first rows")
    return table_html(
        columns,
        [
            (
                result.check,
                f"{result.title} ({result.note})" if result.note else result.title,
                f"{result.count:,}",
                f"{result.value:.2%}",
                f"{result.bound} {result.limit:.2%}",
                Markup('<span class="{}">{}</span>').format(
                    _VERDICT_CLASS[result.verdict], result.verdict
                ),
                ", ".join(result.files[:5] or [str(row) for row in result.rows[:5]]),
            )
            for result in results
        ],
    )


def _emotion_sections(faces: Faces, row_index: pd.DataFrame) -> list[Section]:
    strips = []
    for code, label in enumerate(faces.info.labels):
        of_label = row_index[row_index["target"] == code]
        rows = _sample(faces, of_label, _MAX_FACES_PER_EMOTION)
        if len(rows):
            picture = image_html(np.hstack(list(rows.images)), f"{len(rows)} faces: {label}")
            strips.append((label, f"{len(of_label):,}", picture))
    return [
        Section("Faces of each emotion", table_html(("emotion", "faces", "sample"), strips)),
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
    rows = _sample(faces, row_index, _MAX_KEYPOINT_FACES)
    return [
        Section("Faces with their keypoints", _keypoint_sheet(rows)),
        Section("Positions of the keypoints, and brightness", _keypoint_scatter(faces, row_index)),
        Section("Keypoints annotated", _annotation_tables(faces, keypoints)),
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
    points = _sample(faces, row_index, _MAX_SCATTER_FACES).targets
    figure = Figure(figsize=(9, 4), layout="constrained")
    scatter, brightness = figure.subplots(1, 2)
    for k, name in enumerate(NAMES):
        colour = COLOURS[k % len(COLOURS)]
        scatter.plot(*points[:, k].T, ".", color=colour, markersize=1.5, label=name)
    scatter.set(xlim=(0, FRAME), ylim=(FRAME, 0), aspect="equal", xlabel="x [px]", ylabel="y [px]")
    scatter.set_title(f"keypoints of {len(points)} faces", fontsize=10)
    _draw_brightness(brightness, row_index)
    return figure_html(figure, "scatter of the keypoints; histogram of image brightness")


def _annotation_tables(faces: Faces, keypoints: dict[str, dict[str, Any]]) -> Markup:
    counts: NDArray[np.int64] = np.zeros(len(NAMES) + 1, dtype=np.int64)
    for shard in faces.shards():
        annotated = ~np.isnan(shard.targets).any(axis=2)
        counts += np.bincount(annotated.sum(axis=1), minlength=len(counts))
    used = np.flatnonzero(counts)[::-1]
    by_number = [(int(k), f"{counts[k]:,}") for k in used]
    columns = ("keypoint", "faces", "mean x", "mean y", "deviation x", "deviation y")
    by_name = [(name, *values.values()) for name, values in keypoints.items()]
    return table_html(("keypoints annotated", "faces"), by_number) + table_html(columns, by_name)


def _draw_brightness(ax: Any, row_index: pd.DataFrame) -> None:
    ax.hist(row_index["brightness"], bins=np.arange(0, 257, 8), color=COLOURS[0])
    ax.set(xlabel="mean brightness of an image", ylabel="faces", xlim=(0, 256))


def _bad_rows_table(counts: IngestCounts) -> Markup:
    bad_rows = sorted(chain.from_iterable(counts.bad_rows.values()), key=lambda bad: bad.row)
    if not bad_rows:
        return Markup("<p>None.</p>")
    shown = bad_rows[:_MAX_BAD_ROWS_SHOWN]
    total = sum(counts.bad_counts.values())
    more = f"The first {len(shown)} of {total:,}. " if total > len(shown) else ""
    if shown[0].file:
        cells = [(bad.row, bad.file, bad.check, bad.message) for bad in shown]
        return Markup("<p>{}</p>").format(more) + table_html(
            ("row", "file", "check", "error"), cells
        )
    note = Markup("<p>{}Rows count the data from 0, lines the file from 1.</p>").format(more)
    return note + table_html(
        ("row", "line", "column", "check", "error"), [bad[:5] for bad in shown]
    )


def _words_table(statistics: dict[str, Any]) -> Markup:
    return table_html(
        ("in the source", "read as", "rows"),
        [
            (each["word"], each["emotion"] or "left out", f"{each['rows']:,}")
            for each in statistics["emotion_words"][:_MAX_WORDS_SHOWN]
        ],
    )


def _groups_table(groups: dict[str, dict[str, int]]) -> Markup:
    return table_html(
        ("groups", "faces"),
        [
            (column, ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none")
            for column, counts in groups.items()
        ],
    )


def _source_table(faces: Faces, statistics: dict[str, Any]) -> Markup:
    ignored = ", ".join(statistics["ignored_columns"]) or "none"
    skipped = ", ".join(statistics["first_files_skipped"])
    more = ", ..." if statistics["files_skipped"] > len(statistics["first_files_skipped"]) else ""
    return table_html(
        ("property", "value"),
        [
            ("source", faces.info.source),
            ("content fingerprint (SHA-256)", faces.info.fingerprint),
            ("label set", faces.info.label_set or "-"),
            ("image size", f"{faces.info.image_size}x{faces.info.image_size}"),
            ("columns ignored", ignored),
            (
                "files skipped, no pictures",
                f"{statistics['files_skipped']:,}" + (f": {skipped}{more}" if skipped else ""),
            ),
        ],
    )


def _sample(faces: Faces, row_index: pd.DataFrame, count: int) -> Rows:
    """Take a sample of faces: those with the smallest digests, the same every time."""
    distinct = row_index.drop_duplicates("digest")
    return faces.take(distinct.nsmallest(count, "digest").index.sort_values().to_numpy())


def _split_name(faces: Faces, split: int) -> str:
    names = faces.info.split_names
    return names[split] if split < len(names) else "no split given"
