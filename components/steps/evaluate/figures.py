"""Figures of the evaluation report, drawn without pyplot's global state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.html_page import COLOURS
from emotion_ai.steps.evaluate.metric_text import format_value
from emotion_ai.steps.evaluate.metrics import CALIBRATION_BINS, MAX_FOUND_NME, Reliability, Scores

BLUE, ORANGE, GREEN, _, YELLOW, _, GREY = COLOURS
# Where the curve of cumulative errors ends, in distances between the eyes.
_MAX_NME = 0.20
_CLASS_BARS = ((-0.19, "recall", BLUE, "white"), (0.19, "precision", YELLOW, "black"))


def confusion_figure(matrix: NDArray[np.int64], labels: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts and, as colour, the share of the true emotion's faces.

    Args:
        matrix: int64 [k, k], counts by true and predicted code.
        labels: The k emotions.
    """
    total = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(total, 1)
    size = 2.2 + 0.62 * len(labels)
    figure = Figure(figsize=(size, size))
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (true, predicted), count in np.ndenumerate(matrix):
        cell = share[true, predicted]
        axes.text(
            predicted,
            true,
            f"{cell:.0%}\n{count}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if cell > 0.5 else "black",
        )
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def robustness_figure(accuracy: NDArray[np.float64], names: Sequence[str]) -> Figure:
    """Draw accuracies on corrupted faces as a map.

    Args:
        accuracy: Of each corruption in each severity, [n, severities].
        names: The n corruptions.
    """
    figure = Figure(figsize=(5.6, 0.9 + 0.31 * len(names)))
    axes = figure.add_subplot()
    axes.imshow(accuracy, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(accuracy):
        colour = "white" if value > 0.5 else "black"
        axes.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(accuracy.shape[1]), [str(k + 1) for k in range(accuracy.shape[1])])
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("severity")
    return _without_frame(figure)


def class_figure(scores: Scores, champion: Scores, labels: Sequence[str]) -> Figure:
    """Draw precision and recall of every emotion, with the champion's recall as a mark."""
    figure = Figure(figsize=(5.2, 1.3 + 0.5 * len(labels)))
    axes = figure.add_subplot()
    y_positions = np.arange(len(labels))
    for offset, score, colour, text_colour in _CLASS_BARS:
        values = [scores.get(f"{score}/{label}", 0.0) for label in labels]
        axes.barh(y_positions + offset, values, 0.36, color=colour, label=score)
        for y, value in zip(y_positions + offset, values, strict=True):
            axes.text(0.01, y, f"{value:.0%}", va="center", fontsize=7, color=text_colour)
    champion_recall = [champion.get(f"recall/{label}", np.nan) for label in labels]
    if np.isfinite(champion_recall).any():
        axes.plot(
            champion_recall, y_positions - 0.19, "D", color="black", ms=4, label="champion's recall"
        )
    axes.set_yticks(y_positions, labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _legend_below(axes)
    return _without_frame(figure)


def reliability_figure(bins: Reliability) -> Figure:
    """Draw a reliability diagram: accuracy against confidence, and how many faces each bin has."""
    figure = Figure(figsize=(4.2, 4.4))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    edges = np.arange(CALIBRATION_BINS) / CALIBRATION_BINS
    width = 1 / CALIBRATION_BINS
    top.bar(edges, np.nan_to_num(bins.accuracy), width, align="edge", color=BLUE, edgecolor="white")
    top.plot([0, 1], [0, 1], color=GREY, lw=1)
    top.plot(bins.confidence, bins.accuracy, "o", color=ORANGE, ms=3)
    top.set_ylabel("accuracy")
    top.set_ylim(0, 1)
    top.text(0.03, 0.93, f"calibration error {bins.error:.1%}", transform=top.transAxes)
    bottom.bar(edges, bins.share, width, align="edge", color=GREY, edgecolor="white")
    bottom.set_ylabel("faces")
    bottom.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bottom.set_xlim(0, 1)
    bottom.set_xlabel("confidence")
    return _without_frame(figure)


def keypoint_map_figure(face: NDArray, keypoints: NDArray, scores: Scores) -> Figure:
    """Draw the error of every keypoint as a circle of that radius on a mean face.

    Args:
        face: Mean image of test, [96, 96].
        keypoints: Mean keypoints of test, [15, 2].
        scores: Scores with "rmse_px/<keypoint>".
    """
    figure = Figure(figsize=(9.4, 4.6))
    picture, bars = figure.subplots(1, 2, width_ratios=(1, 1.05))
    picture.imshow(face, cmap="gray")
    picture.set_axis_off()
    errors = np.array([scores.get(f"rmse_px/{name}", np.nan) for name in NAMES])
    worst = np.nanmax(errors, initial=0.0) or 1.0
    shades = colormaps["plasma"](np.nan_to_num(errors) / worst)
    for (x, y), error, shade in zip(keypoints, errors, shades, strict=True):
        if error < FRAME:
            picture.add_patch(Circle((x, y), error, fill=False, lw=1.6, color=shade))
        picture.plot(x, y, ".", color=shade, ms=3)
    order = np.argsort(np.nan_to_num(errors, nan=-1.0))
    values = bars.barh(range(len(NAMES)), errors[order], color=shades[order])
    bars.bar_label(
        values, [format_value(error, "px") for error in errors[order]], padding=2, fontsize=7
    )
    bars.set_yticks(range(len(NAMES)), [NAMES[k].replace("_", " ") for k in order], fontsize=8)
    bars.set_xlabel("RMSE in pixels of the 96x96 frame")
    bars.set_xlim(0, worst * 1.15)
    return _without_frame(figure)


def cumulative_figure(errors: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw the cumulative distribution of normalised errors.

    Args:
        errors: Each face's error over the distance between its eyes, float64 [n], by the name of
            the curve.
    """
    figure = Figure(figsize=(5.4, 4.2))
    axes = figure.add_subplot()
    colours = dict(zip(errors, (BLUE, ORANGE, GREY), strict=False))
    for name, values in errors.items():
        known = np.sort(values[np.isfinite(values)])
        if len(known):
            x = np.concatenate([[0.0], known, [max(_MAX_NME, known[-1])]])
            y = np.concatenate([[0.0], np.arange(1, len(known) + 1) / len(known), [1.0]])
            axes.step(x, y, where="post", color=colours[name], label=name)
    axes.axvline(MAX_FOUND_NME, color=GREEN, lw=1, ls="--", label="5 %")
    axes.set_xlim(0, _MAX_NME)
    axes.set_ylim(0, 1.01)
    axes.set_xlabel("mean error over eye distance")
    axes.set_ylabel("share of faces")
    axes.set_xticks(np.arange(5) * _MAX_NME / 4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _legend_below(axes)
    return _without_frame(figure)


def faces_figure(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    marks: Sequence[tuple[NDArray, NDArray]] = (),
) -> Figure:
    """Draw a sheet of faces with captions.

    Args:
        images: uint8 [n, H, W].
        captions: n captions.
        marks: True and predicted keypoints [15, 2] of each face, to draw on it.
    """
    columns = 6
    lines = -(-len(images) // columns)
    figure = Figure(figsize=(1.75 * columns, 2.25 * lines))
    gaps = {"wspace": 0.08, "hspace": 0.3}
    sheet = figure.subplots(lines, columns, squeeze=False, gridspec_kw=gaps).ravel()
    for axes in sheet:
        axes.set_axis_off()
    for axes, image, caption in zip(sheet, images, captions, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(caption, fontsize=8, linespacing=1.1)
    for axes, (truth, predicted) in zip(sheet, marks, strict=False):
        pair = np.stack([truth, predicted])
        axes.plot(pair[..., 0], pair[..., 1], "-", color=YELLOW, lw=0.8)
        axes.plot(*truth.T, "o", color=GREEN, ms=3)
        axes.plot(*predicted.T, "x", color=ORANGE, ms=3.5, mew=1.2)
        height, width = images.shape[1:]
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
    return figure


def _legend_below(axes: Axes) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=8)


def _without_frame(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure
