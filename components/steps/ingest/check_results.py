"""What the checks found in the rows left out, in the faces kept and in their emotions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Rows
from emotion_ai.faces.kinds import KindName
from emotion_ai.sources.checks import DataChecks
from emotion_ai.steps.ingest.counts import IngestCounts

_ROW_CHECKS = {
    "malformed_row": "no picture, wrong number of fields, unknown usage or subject",
    "pixel_count": "wrong number of pixels",
    "pixel_value": "pixel outside 0-255 or not a number",
    "unknown_label": "unknown emotion code",
    "keypoint_value": "coordinate that is no number or stands alone",
    "keypoint_outside": "keypoint outside the frame",
    "too_few_keypoints": "too few keypoints",
}
_OTHER_KIND = {
    "keypoints": ("unknown_label",),
    "expression": ("keypoint_value", "keypoint_outside", "too_few_keypoints"),
}
Verdict = Literal["ok", "warning", "stop"]

_ROWS_SHOWN = 20
# Under this ratio of the rarest emotion to the commonest the report warns.
_UNBALANCED = 0.2


@dataclass(frozen=True)
class CheckResult:
    """One check's result; `value` is a share (or ratio) that stands against `limit`."""

    check: str
    title: str
    count: int
    value: float
    limit: float
    bound: Literal["at most", "at least"]
    verdict: Verdict
    note: str = ""
    # The first data rows concerned, counted from 0.
    rows: list[int] = field(default_factory=list)
    # Their pictures, where the source consists of such.
    files: list[str] = field(default_factory=list)


def index_rows(rows: Rows) -> pd.DataFrame:
    """What the set checks need of each face: row, split, target, digest, brightness, constant.

    `digest` (and `target`, for keypoints) are 64 bits of BLAKE2b: among a million faces two
    different ones agree with a probability of 3e-8.
    """
    flat = rows.images.reshape(len(rows), rows.images.shape[1] * rows.images.shape[2])
    keypoints = rows.targets.ndim == 3
    return pd.DataFrame(
        {
            "row": rows.row,
            "split": rows.split,
            "target": _digests(rows.targets) if keypoints else rows.targets,
            "digest": _digests(flat),
            "brightness": flat.mean(axis=1, dtype=np.float32),
            "constant": flat.min(axis=1) == flat.max(axis=1),
        }
    )


def row_findings(kind: KindName, tally: IngestCounts, checks: DataChecks) -> list[CheckResult]:
    """The row checks: rows left out, as a share of the rows read."""
    return [
        _at_most(
            name,
            title,
            tally.bad_counts[name],
            tally.read,
            checks,
            [bad.row for bad in tally.bad[name]],
        )
        for name, title in _ROW_CHECKS.items()
        if name not in _OTHER_KIND[kind]
    ]


def set_findings(row_index: pd.DataFrame, checks: DataChecks) -> list[CheckResult]:
    """Constant images and exact duplicates among the faces that were kept."""
    total = len(row_index)
    constant = row_index["row"][row_index["constant"]]
    copies = row_index["row"][row_index.duplicated("digest")]
    targets = row_index.groupby("digest")["target"].transform("nunique")
    contradicting = row_index[targets > 1]
    held_out = row_index[row_index["split"].isin([VALIDATION, TEST])]
    in_train = row_index["digest"][row_index["split"] == TRAIN]
    straddling = held_out["row"][held_out["digest"].isin(in_train)]
    return [
        _at_most("constant_images", "images of one shade", len(constant), total, checks, constant),
        _at_most("duplicates", "copies of an earlier image", len(copies), total, checks, copies),
        _at_most(
            "contradicting_duplicates",
            "copies with contradicting targets",
            len(contradicting),
            total,
            checks,
            contradicting["row"],
            f"{contradicting['digest'].nunique()} groups of identical images",
        ),
        _at_most(
            "split_duplicates",
            "validation and test images that stand in train too",
            len(straddling),
            len(held_out),
            checks,
            straddling,
            "prepare drops the copy in train",
        ),
    ]


def course5_finding(codes: NDArray[np.int64], checks: DataChecks) -> CheckResult:
    """Whether the rows by code look like those of a course5 source given as fer7."""
    upper = int(codes[5:].sum())
    share = upper / max(1, int(codes.sum()))
    low = share < checks.course5_as_fer7
    return CheckResult(
        "course5_as_fer7",
        "rows with the codes 5 and 6, which a course5 source lacks",
        upper,
        share,
        checks.course5_as_fer7,
        "at least",
        "stop" if low else "ok",
        "read it with --label-set course5" if low else "",
    )


def balance_finding(faces: dict[str, int], checks: DataChecks) -> CheckResult:
    """The rarest emotion against the commonest, by faces kept."""
    rarest = min(faces, key=lambda label: faces[label])
    commonest = max(faces, key=lambda label: faces[label])
    ratio = faces[rarest] / max(1, faces[commonest])
    verdict: Verdict = "ok" if ratio >= _UNBALANCED else "warning"
    if ratio < checks.class_balance or not faces[rarest]:
        verdict = "stop"
    return CheckResult(
        "class_balance",
        "rarest emotion to commonest",
        faces[rarest],
        ratio,
        checks.class_balance,
        "at least",
        verdict,
        f"{faces[rarest]:,} {rarest} to {faces[commonest]:,} {commonest}",
    )


def _at_most(
    check: str,
    title: str,
    count: int,
    total: int,
    checks: DataChecks,
    rows: Sequence[int] | pd.Series,
    note: str = "",
) -> CheckResult:
    share = count / total if total else 0.0
    limit = getattr(checks, check)
    verdict: Verdict = "ok"
    if count:
        verdict = "stop" if share > limit else "warning"
    first = [int(row) for row in rows[:_ROWS_SHOWN]]
    shown = note if count else ""
    return CheckResult(check, title, count, share, limit, "at most", verdict, shown, first)


def _digests(values: NDArray) -> NDArray[np.uint64]:
    digests = b"".join(
        hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=8).digest()
        for value in values
    )
    return np.frombuffer(digests, dtype=np.uint64)
