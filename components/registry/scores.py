"""The scores in release.json: by split, and as the few words that people compare releases by."""

from collections.abc import Iterator, Mapping
from typing import Any

from emotion_ai.faces.arrays import TEST
from emotion_ai.faces.kinds import EXPRESSION, KEYPOINTS, FaceKind
from emotion_ai.faces.split_words import split_of
from emotion_ai.registry.releases import ReleaseInfo

# How the headline metric of each kind reads: its factor, decimals and unit.
_WORDS = ((EXPRESSION, 100, 1, "%"), (KEYPOINTS, 1, 2, "px"))


def scores_by_split(metrics: Mapping[str, Any], kind: str) -> dict[str, dict[str, float]]:
    """Return a model's scores by the split's own name; training, validation and test in order.

    Args:
        metrics: As in release.json, named <kind>/<split>/<score>.
        kind: "keypoints" or "expression".
    """
    splits: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        if name.count("/") >= 2 and isinstance(value, int | float):
            metric_kind, split, score = name.split("/", 2)
            if metric_kind == kind:
                splits.setdefault(split, {})[score] = value
    return dict(sorted(splits.items(), key=lambda split: split_of(split[0])))


def headline(info: ReleaseInfo, before: ReleaseInfo | None) -> str:
    """Return a release's test scores in words, such as "67.7 % (+1.0), 1.48 px (-0.02)".

    They end with "forced past the gate" for a release that was.

    Args:
        info: The release.
        before: The release that serves before it; None for none. Its scores are compared where
            both were tested on the same faces.

    Returns:
        The words; "" where release.json has no such scores.
    """
    return ", ".join(_headlines(info, before))


def _headlines(info: ReleaseInfo, before: ReleaseInfo | None) -> Iterator[str]:
    for kind, factor, decimals, unit in _WORDS:
        score = _test_score(info, kind)
        if score is None:
            continue
        words = f"{score * factor:.{decimals}f} {unit}"
        former = None
        if before is not None and _tested_on(before, kind) == _tested_on(info, kind):
            former = _test_score(before, kind)
        if former is not None:
            words += f" ({(score - former) * factor:+.{decimals}f})"
        yield words
    if info.gate.forced:
        yield "forced past the gate"


def _test_score(info: ReleaseInfo, kind: FaceKind) -> float | None:
    splits = scores_by_split(info.metrics, kind.name).items()
    return next(
        (scores.get(kind.metric) for name, scores in splits if split_of(name) == TEST), None
    )


def _tested_on(info: ReleaseInfo, kind: FaceKind) -> str:
    data = info.data.get(kind.name)
    # Two releases that do not say were not tested on the same.
    return data.fingerprint if data else f"release {info.version}"
