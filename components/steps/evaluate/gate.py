"""The gate: does the candidate pair of models become a release, and why?

The two models are released together, so they are judged together: one that fails holds the other
back. Judged are the test splits alone.

1. Floors and ceilings of `GateSettings`, each on its own.
2. Baselines: the expression model beats the most frequent emotion of train, the keypoint model
   beats the mean face of train.
3. The champion, re-scored on today's test splits: the candidate may fall behind it by the tolerance
   and no more.

On a first run there is no champion: 1 and 2 decide. A champion that knows other emotions cannot be
compared in them: its keypoints are, and the expressions are decided by 1 and 2; the report says so.
`force_accept` turns a rejection into an acceptance and is recorded with its reason.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.settings import StrictModel
from emotion_ai.steps.evaluate.metric_text import Comparison, champion_sentence, measure, sentence
from emotion_ai.steps.evaluate.settings import GateSettings, Tolerances


@dataclass(frozen=True)
class PairScores:
    """A pair of models on the two test splits.

    `scores` are those of `metrics.expression_scores` and `metrics.keypoint_scores` under
    "expression/" and "keypoints/"; one that could not be measured is absent.
    """

    scores: Mapping[str, float]
    emotions: tuple[str, ...]


class Check(StrictModel):
    """One comparison: `name` is <half>/<split>/<score>."""

    name: str
    comparison: Comparison
    value: float | None
    limit: float
    passed: bool
    sentence: str


class GateReport(StrictModel):
    """The decision and everything it rests on; `metrics` are filled in by the evaluation."""

    outcome: Literal["accepted", "rejected"]
    forced: str
    reasons: list[str]
    checks: list[Check]
    champion: int | None
    metrics: dict[str, float] = {}


@dataclass(frozen=True)
class GateInputs:
    """What the gate is asked.

    `baselines` holds "expression/accuracy" and "keypoints/rmse_px" of the most frequent emotion and
    of the mean face; `splits` names the test split of each half; `champion` is its version and its
    scores on these same splits, None on a first run.
    """

    candidate: PairScores
    baselines: Mapping[str, float]
    splits: Mapping[str, str]
    champion: tuple[int, PairScores] | None = None


def decide(settings: GateSettings, question: GateInputs, force_accept: str = "") -> GateReport:
    """Accept or reject the candidate; a pure function of its arguments.

    `force_accept` is the reason for accepting a candidate that the gate rejects ("" = do not); it
    is recorded in `forced` only where it was needed.
    """
    checks = list(_checks(settings, question))
    failed = [check.sentence for check in checks if not check.passed]
    notes = list(_notes(settings, question))
    why = force_accept.strip()
    if not failed:
        passed = [check.sentence for check in checks if check.comparison != "floor"]
        summary = f"every one of {len(checks)} checks holds"
        if why:
            notes.append(f"force_accept ({why}) was not needed")
        reasons = [summary, *passed, *notes]
    else:
        reasons = [*failed, *_joint(checks), *notes]
        if why:
            reasons.insert(0, f"accepted by force all the same: {why}")
    return GateReport(
        outcome="accepted" if why or not failed else "rejected",
        forced=why if failed else "",
        reasons=reasons,
        checks=checks,
        champion=question.champion[0] if question.champion else None,
    )


def _checks(settings: GateSettings, question: GateInputs) -> Iterator[Check]:
    for half in ("expression", "keypoints"):
        finite = f"{half}/finite_share"
        yield _check(question, finite, "floor", 1.0)
        # The other scores of predictions that are no numbers do not exist.
        if question.candidate.scores.get(finite) != 1.0:
            continue
        for score, limit in _limits(settings, question.candidate.emotions):
            if score.startswith(half):
                yield _check(question, score, "floor", limit)
        for score, limit in question.baselines.items():
            if score.startswith(half):
                yield _check(question, score, "baseline", limit)
        yield from _champion_checks(settings.champion, question, half)


def _limits(settings: GateSettings, emotions: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    expression, keypoints = settings.expression, settings.keypoints
    recall = {name: expression.recall.get(name, expression.every_recall) for name in emotions}
    rmse = {name: keypoints.keypoint_rmse_px.get(name, keypoints.every_rmse_px) for name in NAMES}
    limits = {
        "expression/accuracy": expression.accuracy,
        "expression/balanced_accuracy": expression.balanced_accuracy,
        "expression/macro_f1": expression.macro_f1,
        **{f"expression/recall/{name}": floor for name, floor in recall.items()},
        "expression/calibration_error": expression.calibration_error,
        "keypoints/rmse_px": keypoints.rmse_px,
        **{f"keypoints/rmse_px/{name}": ceiling for name, ceiling in rmse.items()},
        "keypoints/share_under_5_percent_nme": keypoints.share_under_5_percent_nme,
    }
    for score, limit in limits.items():
        if limit is not None:
            yield score, limit


def _check(question: GateInputs, score: str, comparison: Comparison, limit: float) -> Check:
    half, _, name = score.partition("/")
    split = question.splits[half]
    value = question.candidate.scores.get(score)
    if value is None:
        passed = False
    elif comparison == "baseline":
        passed = value > limit if measure(score).higher_is_better else value < limit
    else:
        passed = value >= limit if measure(score).higher_is_better else value <= limit
    return Check(
        name=f"{half}/{split}/{name}",
        comparison=comparison,
        value=value,
        limit=limit,
        passed=passed,
        sentence=sentence(score, split, comparison, value, limit),
    )


def _champion_checks(tolerances: Tolerances, question: GateInputs, half: str) -> Iterator[Check]:
    if question.champion is None:
        return
    version, champion = question.champion
    split = question.splits[half]
    for score, tolerance in _tolerated(tolerances, champion.emotions):
        theirs = champion.scores.get(score)
        if not score.startswith(half) or theirs is None:
            continue
        value = question.candidate.scores.get(score)
        higher = measure(score).higher_is_better
        limit = theirs - tolerance if higher else theirs + tolerance
        within = value is not None and (value >= limit if higher else value <= limit)
        yield Check(
            name=f"{half}/{split}/{score.partition('/')[2]}",
            comparison="champion",
            value=value,
            limit=limit,
            passed=within,
            sentence=champion_sentence(score, split, value, (version, theirs), tolerance, within),
        )


def _tolerated(tolerances: Tolerances, emotions: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    tolerated = {
        "expression/accuracy": tolerances.accuracy,
        "expression/macro_f1": tolerances.macro_f1,
        **{f"expression/recall/{name}": tolerances.recall for name in emotions},
        "keypoints/rmse_px": tolerances.rmse_px,
        **{f"keypoints/rmse_px/{name}": tolerances.keypoint_rmse_px for name in NAMES},
    }
    for score, tolerance in tolerated.items():
        if tolerance is not None:
            yield score, tolerance


def _joint(checks: list[Check]) -> Iterator[str]:
    names = {"expression": "expression model", "keypoints": "keypoint model"}
    failed = {check.name.partition("/")[0] for check in checks if not check.passed}
    if len(failed) == 1:
        bad = failed.pop()
        good = "keypoints" if bad == "expression" else "expression"
        yield (
            f"the two models are released together: the {names[good]} passed "
            f"and is held back by the {names[bad]}"
        )


def _notes(settings: GateSettings, question: GateInputs) -> Iterator[str]:
    emotions = question.candidate.emotions
    for name in settings.expression.recall:
        if name not in emotions:
            yield f"the floor for {name} was not applied: the candidate does not know this emotion"
    if question.champion is None:
        yield "first run: there is no champion, so floors and baselines alone decide"
        return
    version, champion = question.champion
    if set(champion.emotions) != set(emotions):
        yield (
            f"champion {version} knows other emotions ({', '.join(champion.emotions)}) than the "
            f"candidate ({', '.join(emotions)}) and cannot be compared in them: floors and "
            f"baselines alone decide about expressions"
        )
    for half in ("expression", "keypoints"):
        if champion.scores.get(f"{half}/finite_share") not in (None, 1.0):
            yield f"champion {version} gave no usable {half} on {question.splits[half]}"
