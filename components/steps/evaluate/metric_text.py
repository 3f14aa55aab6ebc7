"""Scores in words: their titles, units and which way is better; numbers as people read them."""

from dataclasses import dataclass
from typing import Literal

Comparison = Literal["floor", "baseline", "champion"]


# From here on digits are counted, not written out: a network that has diverged has such scores.
_LARGEST = 10_000.0


@dataclass(frozen=True)
class MetricInfo:
    """How a score is spoken of."""

    title: str
    in_pixels: bool
    higher_is_better: bool


_MEASURES = {
    "expression/finite_share": MetricInfo(
        "share of faces whose emotion answer is a number", False, True
    ),
    "expression/accuracy": MetricInfo("expression accuracy", False, True),
    "expression/balanced_accuracy": MetricInfo("expression balanced accuracy", False, True),
    "expression/macro_f1": MetricInfo("expression macro F1", False, True),
    "expression/calibration_error": MetricInfo("expression calibration error", False, False),
    "keypoints/finite_share": MetricInfo(
        "share of faces whose keypoint answer is a number", False, True
    ),
    "keypoints/rmse_px": MetricInfo("keypoint RMSE", True, False),
    "keypoints/nme": MetricInfo("keypoint error by eye distance", False, False),
    "keypoints/share_under_5_percent_nme": MetricInfo(
        "share of faces under 5 % keypoint error", False, True
    ),
}


def measure(score: str) -> MetricInfo:
    """The measure of a score such as "expression/recall/happy" or "keypoints/rmse_px"."""
    if score in _MEASURES:
        return _MEASURES[score]
    _, kind, subject = score.split("/")
    readable = subject.replace("_", " ")
    if kind == "recall":
        return MetricInfo(f"recall of {readable}", False, True)
    return MetricInfo(f"RMSE of {readable}", True, False)


def number(value: float, in_pixels: bool, digits: int = 1) -> str:
    """ "2.31 px" or "41.2 %"; `digits` are those of a percentage, pixels get one more."""
    shown, unit = (value, "px") if in_pixels else (100 * value, "%")
    if abs(shown) >= _LARGEST:
        return f"{shown:.1e} {unit}"
    return f"{shown:.{digits + in_pixels}f} {unit}"


def format_distinct(value: float, limit: float, in_pixels: bool) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ."""
    for digits in range(1, 5):
        texts = number(value, in_pixels, digits), number(limit, in_pixels, digits)
        if texts[0] != texts[1] or value == limit:
            break
    return texts


def sentence(
    score: str, split: str, comparison: Comparison, value: float | None, limit: float
) -> str:
    """A floor or a baseline in words: what was measured, where, and against what."""
    what = measure(score)
    if value is None:
        wanted = number(limit, what.in_pixels)
        return f"{what.title} on {split} could not be measured; {wanted} was asked for"
    mine, theirs = format_distinct(value, limit, what.in_pixels)
    if comparison == "baseline":
        ahead = value > limit if what.higher_is_better else value < limit
        verdict = "better than" if ahead else "no better than"
        baseline = (
            "the mean face of train"
            if score.startswith("keypoints/")
            else "always answering the most frequent emotion of train"
        )
        return f"{what.title} on {split} is {mine}, {verdict} {baseline} ({theirs})"
    side = "above" if value > limit else "below" if value < limit else "exactly"
    bound = "floor" if what.higher_is_better else "ceiling"
    return f"{what.title} on {split} is {mine}, {side} the {bound} of {theirs}"


def champion_sentence(
    score: str,
    split: str,
    value: float | None,
    champion: tuple[int, float],
    tolerance: float,
    held: bool,
) -> str:
    """A comparison with the champion (its version and its score on the same faces) in words."""
    what = measure(score)
    version, theirs = champion
    if value is None:
        return (
            f"{what.title} on {split} could not be measured; champion {version} scores "
            f"{number(theirs, what.in_pixels)} on the same faces"
        )
    mine, other = format_distinct(value, theirs, what.in_pixels)
    text = f"{what.title} on {split} is {mine}, champion {version} scores {other} on the same faces"
    loss = theirs - value if what.higher_is_better else value - theirs
    if loss <= 0:
        return text
    lost, allowed = (
        difference.replace("%", "points")
        for difference in format_distinct(loss, tolerance, what.in_pixels)
    )
    side = "within" if held else "more than"
    return f"{text}: a loss of {lost}, {side} the tolerance of {allowed}"
