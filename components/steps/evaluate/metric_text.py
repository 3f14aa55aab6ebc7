"""Metrics in words: their titles and units, and sentences that compare their values."""

from dataclasses import dataclass, replace
from typing import Literal

Comparison = Literal["floor", "baseline", "champion"]
Unit = Literal["%", "px"]

# From here on in scientific notation: a network that has diverged has such scores.
_MAX_FIXED_POINT = 10_000.0
_MAX_DIGITS = 4


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown, and which values are better.

    Attributes:
        title: Its name in sentences and tables.
        unit: "%" for shares of 0 to 1, "px" for pixels of the 96x96 frame.
        higher_is_better: Whether a larger value is better.
    """

    title: str
    unit: Unit
    higher_is_better: bool


_METRICS = {
    "expression/finite_share": MetricInfo(
        "share of faces with finite emotion probabilities", "%", higher_is_better=True
    ),
    "expression/accuracy": MetricInfo("expression accuracy", "%", higher_is_better=True),
    "expression/balanced_accuracy": MetricInfo(
        "expression balanced accuracy", "%", higher_is_better=True
    ),
    "expression/macro_f1": MetricInfo("expression macro F1", "%", higher_is_better=True),
    "expression/calibration_error": MetricInfo(
        "expression calibration error", "%", higher_is_better=False
    ),
    "expression/robustness": MetricInfo(
        "share of expression accuracy kept on corrupted faces", "%", higher_is_better=True
    ),
    # Without a group that is large enough; each of those has a score of its own, below.
    "expression/group_accuracy_gap": MetricInfo(
        "largest loss of accuracy on a group of faces", "%", higher_is_better=False
    ),
    "keypoints/group_rmse_gap_px": MetricInfo(
        "largest excess of the RMSE on a group of faces", "px", higher_is_better=False
    ),
    "keypoints/finite_share": MetricInfo(
        "share of faces with finite keypoints", "%", higher_is_better=True
    ),
    "keypoints/rmse_px": MetricInfo("keypoint RMSE", "px", higher_is_better=False),
    "keypoints/nme": MetricInfo("keypoint error by eye distance", "%", higher_is_better=False),
    "keypoints/share_under_5_percent_nme": MetricInfo(
        "share of faces under 5 % keypoint error", "%", higher_is_better=True
    ),
}

# Scores of one emotion or keypoint, such as "expression/recall/happy": {} is the item.
_ITEM_METRICS = {
    "recall": MetricInfo("recall of {}", "%", higher_is_better=True),
    "robustness": MetricInfo("share of accuracy kept: {}", "%", higher_is_better=True),
    "group_accuracy_gap": MetricInfo("loss of accuracy on group {}", "%", higher_is_better=False),
    "group_rmse_gap_px": MetricInfo("excess of the RMSE on group {}", "px", higher_is_better=False),
    "rmse_px": MetricInfo("RMSE of {}", "px", higher_is_better=False),
}


def metric_info(metric: str) -> MetricInfo:
    """Return the title, unit and direction of a metric.

    Args:
        metric: Such as "keypoints/rmse_px" or "expression/recall/happy".

    Raises:
        ValueError: The metric is in neither table.

    Example:
        >>> metric_info("expression/recall/happy").title
        'recall of happy'
    """
    if metric in _METRICS:
        return _METRICS[metric]
    _, _, item_metric = metric.partition("/")
    score, _, item = item_metric.partition("/")
    if not item or score not in _ITEM_METRICS:
        table = "_ITEM_METRICS" if item else "_METRICS"
        raise ValueError(f"metric {metric} has no title and unit; add it to {table} in {__name__}")
    info = _ITEM_METRICS[score]
    return replace(info, title=info.title.format(item.replace("_", " ")))


def format_value(value: float, unit: Unit, digits: int = 1) -> str:
    """Format a metric's value with its unit.

    Args:
        value: A share of 0 to 1, or pixels.
        unit: The metric's unit.
        digits: Decimals of a percentage; pixels get one more.

    Example:
        >>> format_value(0.412, "%"), format_value(2.31, "px")
        ('41.2 %', '2.31 px')
    """
    shown = 100 * value if unit == "%" else value
    if abs(shown) >= _MAX_FIXED_POINT:
        return f"{shown:.1e} {unit}"
    decimals = digits if unit == "%" else digits + 1
    # "z" prints a rounded -0.00 as 0.00.
    return f"{shown:z.{decimals}f} {unit}"


def format_distinct(value: float, limit: float, unit: Unit) -> tuple[str, str]:
    """Format two values with as many digits as it takes to see that they differ.

    If `_MAX_DIGITS` do not show it, they are formatted with one digit.
    """
    for digits in range(1, _MAX_DIGITS + 1):
        texts = format_value(value, unit, digits), format_value(limit, unit, digits)
        if texts[0] != texts[1]:
            return texts
    return format_value(value, unit), format_value(limit, unit)


def limit_sentence(
    metric: str, split: str, comparison: Comparison, value: float | None, limit: float
) -> str:
    """Say how a value compares with a floor, a ceiling or a baseline.

    Args:
        metric: The metric's name.
        split: The split's name.
        comparison: "floor" or "baseline".
        value: The candidate's value; None if it could not be measured.
        limit: The value to compare with.
    """
    info = metric_info(metric)
    if value is None:
        required = format_value(limit, info.unit)
        return f"{info.title} on {split} could not be measured; {required} was asked for"
    value_text, limit_text = format_distinct(value, limit, info.unit)
    if comparison == "baseline":
        is_better = value > limit if info.higher_is_better else value < limit
        verdict = "better than" if is_better else "no better than"
        baseline = (
            "the mean face of the training split"
            if metric.startswith("keypoints/")
            else "always predicting the most frequent emotion of the training split"
        )
        return f"{info.title} on {split} is {value_text}, {verdict} {baseline} ({limit_text})"
    side = "above" if value > limit else "below" if value < limit else "equal to"
    bound = "floor" if info.higher_is_better else "ceiling"
    return f"{info.title} on {split} is {value_text}, {side} the {bound} of {limit_text}"


def champion_sentence(
    metric: str,
    split: str,
    value: float | None,
    champion: tuple[int, float],
    tolerance: float,
    within_tolerance: bool,
) -> str:
    """Say how a value compares with the champion's on the same faces.

    Args:
        metric: The metric's name.
        split: The split's name.
        value: The candidate's value; None if it could not be measured.
        champion: The champion's version and its value.
        tolerance: How far the candidate may fall behind.
        within_tolerance: Whether it falls behind by no more than that.
    """
    info = metric_info(metric)
    version, champion_value = champion
    if value is None:
        return (
            f"{info.title} on {split} could not be measured; champion {version} scores "
            f"{format_value(champion_value, info.unit)} on the same faces"
        )
    value_text, champion_text = format_distinct(value, champion_value, info.unit)
    text = (
        f"{info.title} on {split} is {value_text}, champion {version} scores {champion_text} on "
        "the same faces"
    )
    loss = champion_value - value if info.higher_is_better else value - champion_value
    if loss <= 0:
        return text
    loss_text, tolerance_text = (
        difference.replace("%", "points")
        for difference in format_distinct(loss, tolerance, info.unit)
    )
    side = "within" if within_tolerance else "more than"
    return f"{text}: a loss of {loss_text}, {side} the tolerance of {tolerance_text}"
