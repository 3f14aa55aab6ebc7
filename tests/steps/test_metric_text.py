"""Metrics in words: titles, units and digits."""

import pytest

from emotion_ai.steps.evaluate.metric_text import format_distinct, metric_info


@pytest.mark.parametrize(
    ("metric", "title", "unit", "higher_is_better"),
    [
        ("expression/recall/happy", "recall of happy", "%", True),
        ("keypoints/rmse_px/nose_tip", "RMSE of nose tip", "px", False),
        ("keypoints/rmse_px", "keypoint RMSE", "px", False),
    ],
)
def test_metric_info_describes_a_metric(
    metric: str, title: str, unit: str, higher_is_better: bool
) -> None:
    info = metric_info(metric)
    assert (info.title, info.unit, info.higher_is_better) == (title, unit, higher_is_better)


@pytest.mark.parametrize(
    ("metric", "table"),
    [
        ("expression/f1/happy", "_ITEM_METRICS"),
        ("expression/f1", "_METRICS"),
        ("f1", "_METRICS"),
    ],
)
def test_metric_info_rejects_an_unknown_metric(metric: str, table: str) -> None:
    with pytest.raises(ValueError, match=rf"metric {metric} .* to {table} in .*metric_text$"):
        metric_info(metric)


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        (2.141, 2.5, ("2.14 px", "2.50 px")),
        (2.141, 2.144, ("2.141 px", "2.144 px")),
        (2.141771, 2.141772, ("2.14 px", "2.14 px")),
        (2.5, 2.5, ("2.50 px", "2.50 px")),
    ],
)
def test_format_distinct_adds_digits_only_if_they_tell_the_values_apart(
    value: float, limit: float, expected: tuple[str, str]
) -> None:
    assert format_distinct(value, limit, "px") == expected
