"""The timeline as a picture: a band a face, coloured by what it showed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from emotion_ai.apps.watch.emotion_bins import EmotionBins, TrackBins, spans
from emotion_ai.apps.watch.minute_summaries import clock
from emotion_ai.client.drawing import COLOURS

_SHOWN = 12
_INK, _FAINT, _LANE = "#30343b", "#8b929c", "#f1f2f4"
_OTHER = (200, 203, 208)
_LANE_HEIGHT = 0.74
# Letters beside which the legend has room.
_TITLE = 40
# A face missed for so many seconds, or looks, has not gone.
_GAP_S, _GAP_LOOKS = 1.5, 2.5
# Bins over which probabilities are averaged: bands that can be read, not noise.
_SMOOTHING = 5


def save_plot(bands: EmotionBins, title: str, path: Path) -> None:
    """Write the plot of the tracks that were seen most, in the format of the name's suffix."""
    shown = bands.most_seen(_SHOWN)
    height = 0.95 + 0.72 * max(1, len(shown))
    figure = Figure(figsize=(11, height), facecolor="white")
    margin = {"left": 0.105, "right": 0.975, "top": 1 - 0.5 / height, "bottom": 0.42 / height}
    axes = figure.add_subplot()
    figure.subplots_adjust(**margin)
    end_s = max(bands.end_s, bands.width_s)
    for lane, band in enumerate(shown):
        _draw_lane(axes, lane, end_s)
        _draw_band(axes, lane, band, bands)
        _draw_name(axes, lane, band)
    _finish(axes, len(shown), end_s)
    if not shown:
        axes.text(0.5, 0.5, "no face seen", transform=axes.transAxes, ha="center", color=_FAINT)
    top = 1 - 0.2 / height
    named = title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}\N{HORIZONTAL ELLIPSIS}"
    # A dollar in a file's name begins no formula.
    text = figure.text(0.012, top, named, parse_math=False, color=_INK, va="center")
    text.set(fontsize=11, fontweight="bold")
    _draw_legend(figure, bands.labels, top)
    hidden = bands.tracks() - len(shown)
    if hidden:
        words = f"and {hidden} more faces"
        figure.text(0.975, 0.13 / height, words, color=_FAINT, fontsize=8, ha="right", va="center")
    figure.savefig(path, format=path.suffix.lstrip(".").lower(), dpi=130)


def _draw_lane(axes: Axes, lane: int, end_s: float) -> None:
    axes.barh(lane, end_s, _LANE_HEIGHT, color=_LANE, zorder=0)


def _draw_band(axes: Axes, lane: int, band: TrackBins, bands: EmotionBins) -> None:
    """Stack the mean probabilities of each bin, as shares of the lane's height."""
    missed_s = max(_GAP_S, _GAP_LOOKS * bands.look_interval_s)
    for span in spans(band.looks > 0, round(missed_s / bands.width_s)):
        edges = np.arange(span.start, span.stop + 1) * bands.width_s
        _stack(axes, lane, _shares(band.sums[span], band.looks[span]), edges, bands.labels)


def _shares(sums: NDArray[np.float32], looks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean probabilities [n, k] of bins, smoothed; of bins without a look, those between."""
    seen = np.flatnonzero(looks)
    means = sums[seen] / looks[seen, None]
    bins = np.arange(len(looks))
    filled = np.array([np.interp(bins, seen, column) for column in means.T])
    kernel = np.ones(min(_SMOOTHING, len(bins)))
    weight = np.convolve(np.ones(len(bins)), kernel, "same")
    return np.array([np.convolve(column, kernel, "same") / weight for column in filled]).T


def _stack(
    axes: Axes,
    lane: int,
    shares: NDArray[np.float64],
    edges: NDArray[np.float64],
    labels: Sequence[str],
) -> None:
    bottom = np.full(len(shares) + 1, lane + _LANE_HEIGHT / 2)
    for label, share in zip(labels, shares.T, strict=False):
        # The axis points down, so that the first label lies at the lane's foot.
        top = bottom - _LANE_HEIGHT * np.append(share, share[-1])
        axes.fill_between(edges, bottom, top, step="post", color=_colour(label), lw=0, zorder=2)
        axes.plot(edges, top, drawstyle="steps-post", color="white", lw=0.5, zorder=3)
        bottom = top


def _draw_name(axes: Axes, lane: int, band: TrackBins) -> None:
    picture = OffsetImage(band.portrait, zoom=0.42)
    axes.add_artist(
        AnnotationBbox(
            picture,
            (-0.008, lane),
            xycoords=("axes fraction", "data"),
            box_alignment=(1, 0.5),
            frameon=False,
            pad=0,
            annotation_clip=False,
        )
    )
    axes.annotate(
        str(band.track),
        (-0.062, lane),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="center",
        color=_INK,
        fontsize=10,
        annotation_clip=False,
    )


def _finish(axes: Axes, lanes: int, end_s: float) -> None:
    axes.set_ylim(max(lanes, 1) - 0.45, -0.45)
    axes.set_xlim(0, end_s)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    steps = [1, 1.5, 2, 3, 5, 6, 10] if end_s < 120 else [1, 1.2, 1.8, 2.4, 3, 3.6, 6, 9, 10]
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=steps, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    axes.tick_params(colors=_FAINT, labelsize=8, length=3)


def _draw_legend(figure: Figure, labels: list[str], top: float) -> None:
    if labels:
        patches = [Patch(color=_colour(label), label=label) for label in labels]
        figure.legend(
            handles=patches,
            loc="center right",
            bbox_to_anchor=(0.98, top),
            ncols=len(labels),
            frameon=False,
            fontsize=8.5,
            labelcolor=_INK,
            handlelength=0.9,
            handleheight=0.9,
            columnspacing=1.1,
            handletextpad=0.4,
        )


def _colour(label: str) -> tuple[float, float, float]:
    red, green, blue = COLOURS.get(label, _OTHER)
    return red / 255, green / 255, blue / 255
