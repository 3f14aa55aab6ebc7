"""The gate: decide whether the candidate pair of models becomes a release, and say why.

The two models are released together, so they are accepted together: one that fails holds the other
back. The gate looks at the test splits only.

1. Floors and ceilings of `GateSettings`, each for itself.
2. Baselines: the expression model must beat the most frequent emotion of train, the keypoint model
   the mean face of the training split.
3. The champion, scored on the same test splits: the candidate may be worse by the tolerance.

Without a champion, 1 and 2 decide. If the champion has other emotions, only its keypoints are
compared, 1 and 2 decide on the expressions, and the report says so. `force_accept` turns a
rejection into an acceptance and is recorded with its reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.registry.gate_settings import GateSettings, Tolerances
from emotion_ai.settings import StrictModel
from emotion_ai.steps.evaluate.metric_text import (
    Comparison,
    champion_sentence,
    limit_sentence,
    metric_info,
)

_KINDS = ("expression", "keypoints")


@dataclass(frozen=True)
class PairScores:
    """Scores of a pair of models on the two test splits.

    Attributes:
        scores: The scores of `metrics.expression_scores` and `metrics.keypoint_scores`, named
            "expression/<score>" and "keypoints/<score>"; one that could not be measured is absent.
        emotions: The emotions of the expression model.
    """

    scores: Mapping[str, float]
    emotions: tuple[str, ...]


class Check(StrictModel):
    """One comparison of the gate.

    Attributes:
        name: <kind>/<split's own name>/<score>.
        comparison: What the score is compared with.
        value: The candidate's score; None if it could not be measured.
        limit: The score to reach.
        passed: Whether the candidate reaches it.
        sentence: The result in words.
    """

    name: str
    comparison: Comparison
    value: float | None
    limit: float
    passed: bool
    sentence: str


class GateReport(StrictModel):
    """The gate's decision and its grounds.

    Attributes:
        outcome: "accepted" or "rejected".
        forced: The reason for overruling a rejection; "" if there was none.
        reasons: Sentences that explain the outcome, the failed checks first.
        checks: Every comparison.
        champion: The champion's version; None if there is none.
        metrics: Every score of the candidate; added by the evaluation.
    """

    outcome: Literal["accepted", "rejected"]
    forced: str
    reasons: list[str]
    checks: list[Check]
    champion: int | None
    metrics: dict[str, float] = {}


@dataclass(frozen=True)
class GateInputs:
    """The scores that the gate decides on.

    Attributes:
        candidate: The candidate's scores.
        baselines: "expression/accuracy" of the most frequent emotion and "keypoints/rmse_px" of
            the mean face.
        splits: The name of the test split of each kind, "keypoints" and "expression".
        champion: The champion's version and its scores on the same splits; None without one.
    """

    candidate: PairScores
    baselines: Mapping[str, float]
    splits: Mapping[str, str]
    champion: tuple[int, PairScores] | None = None


def decide(settings: GateSettings, inputs: GateInputs, force_accept: str = "") -> GateReport:
    """Accept or reject the candidate. A pure function.

    Args:
        settings: Floors, ceilings and tolerances.
        inputs: The scores of candidate, baselines and champion.
        force_accept: The reason for accepting a candidate that fails; "" to reject it. Recorded
            in `forced` only if it was needed.
    """
    checks = list(_all_checks(settings, inputs))
    failed = [check.sentence for check in checks if not check.passed]
    notes = list(_notes(settings, inputs))
    force_reason = force_accept.strip()
    if not failed:
        passed = [check.sentence for check in checks if check.comparison != "floor"]
        summary = f"all {len(checks)} checks passed"
        if inputs.champion is None:
            summary += "; there is no champion to compare with"
        if force_reason:
            notes.append(f"force_accept ({force_reason}) was not needed")
        reasons = [summary, *passed, *notes]
    else:
        reasons = [*failed, *_joint_release_note(checks), *notes]
        if force_reason:
            reasons.insert(0, f"accepted by force all the same: {force_reason}")
    return GateReport(
        outcome="accepted" if force_reason or not failed else "rejected",
        forced=force_reason if failed else "",
        reasons=reasons,
        checks=checks,
        champion=inputs.champion[0] if inputs.champion else None,
    )


def _all_checks(settings: GateSettings, inputs: GateInputs) -> Iterator[Check]:
    for kind in _KINDS:
        finite_share = f"{kind}/finite_share"
        yield _limit_check(inputs, finite_share, "floor", 1.0)
        # Predictions that are not finite have no other scores.
        if inputs.candidate.scores.get(finite_share) != 1.0:
            continue
        for score, limit in _limits(settings, inputs.candidate):
            if score.startswith(kind):
                yield _limit_check(inputs, score, "floor", limit)
        for score, limit in inputs.baselines.items():
            if score.startswith(kind):
                yield _limit_check(inputs, score, "baseline", limit)
        yield from _champion_checks(settings.champion, inputs, kind)


def _limits(settings: GateSettings, candidate: PairScores) -> Iterator[tuple[str, float]]:
    expression, keypoints = settings.expression, settings.keypoints
    recall = {
        name: expression.recall.get(name, expression.every_recall) for name in candidate.emotions
    }
    rmse = {name: keypoints.keypoint_rmse_px.get(name, keypoints.every_rmse_px) for name in NAMES}
    limits = {
        "expression/accuracy": expression.accuracy,
        "expression/balanced_accuracy": expression.balanced_accuracy,
        "expression/macro_f1": expression.macro_f1,
        **{f"expression/recall/{name}": floor for name, floor in recall.items()},
        "expression/calibration_error": expression.calibration_error,
        "expression/robustness": expression.robustness,
        **_group_limits(candidate, "expression/group_accuracy_gap", expression.groups),
        "keypoints/rmse_px": keypoints.rmse_px,
        **{f"keypoints/rmse_px/{name}": ceiling for name, ceiling in rmse.items()},
        "keypoints/share_under_5_percent_nme": keypoints.share_under_5_percent_nme,
        **_group_limits(candidate, "keypoints/group_rmse_gap_px", keypoints.groups),
    }
    for score, limit in limits.items():
        if limit is not None:
            yield score, limit


def _group_limits(
    candidate: PairScores, score: str, limit: float | None
) -> dict[str, float | None]:
    """Limit each group's gap; where no group is large enough, one that could not be measured."""
    groups = [name for name in candidate.scores if name.startswith(f"{score}/")]
    return dict.fromkeys(groups or [score], limit)


def _limit_check(inputs: GateInputs, score: str, comparison: Comparison, limit: float) -> Check:
    kind, _, name = score.partition("/")
    split = inputs.splits[kind]
    value = inputs.candidate.scores.get(score)
    higher_is_better = metric_info(score).higher_is_better
    if value is None:
        passed = False
    elif comparison == "baseline":
        passed = value > limit if higher_is_better else value < limit
    else:
        passed = value >= limit if higher_is_better else value <= limit
    return Check(
        name=f"{kind}/{split}/{name}",
        comparison=comparison,
        value=value,
        limit=limit,
        passed=passed,
        sentence=limit_sentence(score, split, comparison, value, limit),
    )


def _champion_checks(tolerances: Tolerances, inputs: GateInputs, kind: str) -> Iterator[Check]:
    if inputs.champion is None:
        return
    version, champion = inputs.champion
    split = inputs.splits[kind]
    for score, tolerance in _score_tolerances(tolerances, champion.emotions):
        champion_score = champion.scores.get(score)
        if not score.startswith(kind) or champion_score is None:
            continue
        value = inputs.candidate.scores.get(score)
        higher_is_better = metric_info(score).higher_is_better
        limit = champion_score - tolerance if higher_is_better else champion_score + tolerance
        passed = value is not None and (value >= limit if higher_is_better else value <= limit)
        yield Check(
            name=f"{kind}/{split}/{score.partition('/')[2]}",
            comparison="champion",
            value=value,
            limit=limit,
            passed=passed,
            sentence=champion_sentence(
                score, split, value, (version, champion_score), tolerance, passed
            ),
        )


def _score_tolerances(
    tolerances: Tolerances, emotions: tuple[str, ...]
) -> Iterator[tuple[str, float]]:
    by_score = {
        "expression/accuracy": tolerances.accuracy,
        "expression/macro_f1": tolerances.macro_f1,
        **{f"expression/recall/{name}": tolerances.recall for name in emotions},
        "keypoints/rmse_px": tolerances.rmse_px,
        **{f"keypoints/rmse_px/{name}": tolerances.keypoint_rmse_px for name in NAMES},
    }
    for score, tolerance in by_score.items():
        if tolerance is not None:
            yield score, tolerance


def _joint_release_note(checks: list[Check]) -> Iterator[str]:
    names = {"expression": "expression model", "keypoints": "keypoint model"}
    failed = {check.name.partition("/")[0] for check in checks if not check.passed}
    if len(failed) == 1:
        bad = failed.pop()
        good = "keypoints" if bad == "expression" else "expression"
        yield (
            f"the two models are released together: the {names[good]} passed "
            f"and is held back by the {names[bad]}"
        )


def _notes(settings: GateSettings, inputs: GateInputs) -> Iterator[str]:
    emotions = inputs.candidate.emotions
    for name in settings.expression.recall:
        if name not in emotions:
            yield f"the floor for {name} was not applied: the candidate does not know this emotion"
    if inputs.champion is None:
        return
    version, champion = inputs.champion
    if set(champion.emotions) != set(emotions):
        yield (
            f"champion {version} knows other emotions ({', '.join(champion.emotions)}) than the "
            f"candidate ({', '.join(emotions)}) and cannot be compared in them: floors and "
            f"baselines alone decide about expressions"
        )
    for kind in _KINDS:
        if champion.scores.get(f"{kind}/finite_share") not in (None, 1.0):
            yield f"champion {version} gave no usable {kind} on {inputs.splits[kind]}"
