"""Plot the timeline: a lane for each face, filled with its emotions."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
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
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.client.panels import COLOURS
from emotion_ai.client.xmp import describe
from emotion_ai.errors import one_line

# What each format calls a description of its content.
_DESCRIPTIONS = {"png": "Description", "svg": "Description", "pdf": "Subject"}
_MAX_LANES = 12
_INK, _FAINT, _LANE = "#30343b", "#8b929c", "#f1f2f4"
_OTHER_COLOUR = (200, 203, 208)
_LANE_HEIGHT = 0.74
# A longer title would reach the legend.
_MAX_TITLE_LENGTH = 40
# A lane has no hole where a face is missing for fewer seconds, or analysed frames.
_MAX_GAP_S, _MAX_GAP_FRAMES = 1.5, 2.5
# Bins of the moving average, against noise.
_SMOOTHING_BINS = 5


@contextlib.contextmanager
def open_plot(path: Path, title: str, about: Mapping[str, str]) -> Iterator[EmotionBins]:
    """Collect results, and save their plot at `path` when the block succeeds.

    Args:
        path: The file to write; see `save_plot`.
        title: The plot's title.
        about: What the file's metadata says, by name.

    Yields:
        The bins to add results to.

    Raises:
        InputError: Another process is writing the file.
        Unavailable: The file system failed.
    """
    with atomic_output(path) as partial:
        bins = EmotionBins()
        yield bins
        save_plot(bins, title, partial, about)


def save_plot(bins: EmotionBins, title: str, path: Path, about: Mapping[str, str]) -> None:
    """Write a plot of the tracks that were seen most.

    Args:
        bins: Sums of probabilities.
        title: The plot's title.
        path: The file to write, in the format of its suffix: .png, .svg or .pdf.
        about: What its metadata says, by name.
    """
    tracks = bins.most_seen(_MAX_LANES)
    height = 0.95 + 0.72 * max(1, len(tracks))
    figure = Figure(figsize=(11, height), facecolor="white")
    margin = {"left": 0.105, "right": 0.975, "top": 1 - 0.5 / height, "bottom": 0.42 / height}
    axes = figure.add_subplot()
    figure.subplots_adjust(**margin)
    end_s = max(bins.end_s, bins.width_s)
    for lane, track in enumerate(tracks):
        _draw_lane(axes, lane, end_s)
        _draw_emotions(axes, lane, track, bins)
        _draw_name(axes, lane, track)
    _format_axes(axes, len(tracks), end_s)
    if not tracks:
        axes.text(0.5, 0.5, "no face seen", transform=axes.transAxes, ha="center", color=_FAINT)
    header_y = 1 - 0.2 / height
    _draw_title(figure, title, header_y)
    _draw_legend(figure, bins.labels, header_y)
    hidden = bins.count_tracks() - len(tracks)
    if hidden:
        note = f"and {hidden} more faces"
        figure.text(0.975, 0.13 / height, note, color=_FAINT, fontsize=8, ha="right", va="center")
    kind = path.suffix.lstrip(".").lower()
    description = describe(about)
    metadata = {_DESCRIPTIONS[kind]: description} if description else {}
    figure.savefig(path, format=kind, dpi=130, metadata=metadata)


def _draw_title(figure: Figure, title: str, y: float) -> None:
    title = one_line(title)
    if len(title) > _MAX_TITLE_LENGTH:
        title = f"{title[: _MAX_TITLE_LENGTH - 1]}\N{HORIZONTAL ELLIPSIS}"
    # Without parsing: a dollar in a file's name would begin a formula.
    text = figure.text(0.012, y, title, parse_math=False, color=_INK, va="center")
    text.set(fontsize=11, fontweight="bold")


def _draw_lane(axes: Axes, lane: int, end_s: float) -> None:
    axes.barh(lane, end_s, _LANE_HEIGHT, color=_LANE, zorder=0)


def _draw_emotions(axes: Axes, lane: int, track: TrackBins, bins: EmotionBins) -> None:
    """Stack the mean probabilities of each bin, as shares of the lane's height."""
    max_gap_s = max(_MAX_GAP_S, _MAX_GAP_FRAMES * bins.analysis_interval_s)
    for span in spans(track.counts > 0, round(max_gap_s / bins.width_s)):
        edges = np.arange(span.start, span.stop + 1) * bins.width_s
        means = _smoothed_means(track.sums[span], track.counts[span])
        _stack(axes, lane, means, edges, bins.labels)


def _smoothed_means(sums: NDArray[np.float32], counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean probabilities [n, k] of bins, smoothed; empty bins are interpolated."""
    filled = np.flatnonzero(counts)
    means = sums[filled] / counts[filled, None]
    bins = np.arange(len(counts))
    interpolated = np.array([np.interp(bins, filled, column) for column in means.T])
    kernel = np.ones(min(_SMOOTHING_BINS, len(bins)))
    weight = np.convolve(np.ones(len(bins)), kernel, "same")
    return np.array([np.convolve(column, kernel, "same") / weight for column in interpolated]).T


def _stack(
    axes: Axes,
    lane: int,
    means: NDArray[np.float64],
    edges: NDArray[np.float64],
    labels: Sequence[str],
) -> None:
    bottom = np.full(len(means) + 1, lane + _LANE_HEIGHT / 2)
    for label, mean in zip(labels, means.T, strict=False):
        # The y axis points down, so that the first label is at the bottom of the lane.
        top = bottom - _LANE_HEIGHT * np.append(mean, mean[-1])
        axes.fill_between(edges, bottom, top, step="post", color=_colour(label), lw=0, zorder=2)
        axes.plot(edges, top, drawstyle="steps-post", color="white", lw=0.5, zorder=3)
        bottom = top


def _draw_name(axes: Axes, lane: int, track: TrackBins) -> None:
    picture = OffsetImage(track.portrait, zoom=0.42)
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
        str(track.track),
        (-0.062, lane),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="center",
        color=_INK,
        fontsize=10,
        annotation_clip=False,
    )


def _format_axes(axes: Axes, lanes: int, end_s: float) -> None:
    axes.set_ylim(max(lanes, 1) - 0.45, -0.45)
    axes.set_xlim(0, end_s)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    steps = [1, 1.5, 2, 3, 5, 6, 10] if end_s < 120 else [1, 1.2, 1.8, 2.4, 3, 3.6, 6, 9, 10]
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=steps, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    axes.tick_params(colors=_FAINT, labelsize=8, length=3)


def _draw_legend(figure: Figure, labels: list[str], y: float) -> None:
    if labels:
        patches = [Patch(color=_colour(label), label=label) for label in labels]
        figure.legend(
            handles=patches,
            loc="center right",
            bbox_to_anchor=(0.98, y),
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
    red, green, blue = COLOURS.get(label, _OTHER_COLOUR)
    return red / 255, green / 255, blue / 255
