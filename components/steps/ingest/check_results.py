"""The data checks and their results: rows left out, faces kept, balance of emotions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Rows
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.kinds import KindName
from emotion_ai.faces.labels import OTHER_EMOTION
from emotion_ai.sources.checks import DataChecks
from emotion_ai.steps.ingest.counts import IngestCounts

_ROW_CHECKS = {
    "malformed_row": "no picture, wrong number of fields, unknown usage or subject",
    "pixel_count": "wrong number of pixels",
    "pixel_value": "pixel outside 0-255 or not a number",
    "unknown_label": "unknown emotion",
    "keypoint_value": "coordinate that is not a number, or x without y",
    "keypoint_outside": "keypoint outside the frame",
    "too_few_keypoints": "too few keypoints",
}
_CHECKS_OF_OTHER_KIND = {
    "keypoints": ("unknown_label",),
    "expression": ("keypoint_value", "keypoint_outside", "too_few_keypoints"),
}
Verdict = Literal["ok", "warning", "stop"]

_MAX_ROWS_SHOWN = 20
# The report warns if the ratio of the rarest emotion to the commonest is lower.
_BALANCED_RATIO = 0.2


@dataclass(frozen=True)
class CheckResult:
    """The result of one check; its fields are keys of the statistics' JSON.

    Attributes:
        check: The check's name, as in `DataChecks`.
        title: What it counts.
        count: How many rows it found.
        value: Their share, or a ratio.
        limit: The value's limit.
        bound: Which side of the limit is allowed.
        verdict: "stop" refuses the source.
        note: Details in words; "" for none.
        rows: The first data rows found, counted from 0.
        files: Their file names, if the source is a folder or archive of pictures.
    """

    check: str
    title: str
    count: int
    value: float
    limit: float
    bound: Literal["at most", "at least"]
    verdict: Verdict
    note: str = ""
    rows: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def index_rows(rows: Rows) -> pd.DataFrame:
    """Build a table of the faces with what the checks need of them.

    Digests are 64 bits of BLAKE2b: among a million faces two different ones share one with a
    probability of 3e-8.

    Args:
        rows: A block of faces.

    Returns:
        Columns row, split, target (a code, or a digest of the keypoints), digest (of the pixels),
        brightness (mean, 0-255) and constant (whether all pixels are equal); of keypoints also
        x_low, x_high, y_low and y_high.
    """
    flat = rows.images.reshape(len(rows), rows.images.shape[1] * rows.images.shape[2])
    keypoints = rows.targets.ndim == 3
    index = pd.DataFrame(
        {
            "row": rows.row,
            "split": rows.split,
            "target": _digests(rows.targets) if keypoints else rows.targets,
            "digest": _digests(flat),
            "brightness": flat.mean(axis=1, dtype=np.float32),
            "constant": flat.min(axis=1) == flat.max(axis=1),
        }
    )
    if keypoints:
        for axis, name in enumerate("xy"):
            # Not nanmin, which warns of faces without keypoints.
            index[f"{name}_low"] = np.fmin.reduce(rows.targets[..., axis], axis=1)
            index[f"{name}_high"] = np.fmax.reduce(rows.targets[..., axis], axis=1)
    return index


def check_rows(kind: KindName, counts: IngestCounts, checks: DataChecks) -> list[CheckResult]:
    """Check the rows left out, as a share of the rows read.

    Args:
        kind: The kind of faces.
        counts: The counts of the whole source.
        checks: The tolerated shares.
    """
    return [
        _share_check(
            name,
            title,
            counts.bad_counts[name],
            counts.rows_read,
            checks,
            [bad.row for bad in counts.bad_rows[name]],
        )
        for name, title in _ROW_CHECKS.items()
        if name not in _CHECKS_OF_OTHER_KIND[kind]
    ]


def check_faces(row_index: pd.DataFrame, checks: DataChecks) -> list[CheckResult]:
    """Check for constant images and exact duplicates among the faces kept.

    Args:
        row_index: The result of `index_rows` for all faces.
        checks: The tolerated shares.
    """
    total = len(row_index)
    constant = row_index["row"][row_index["constant"]]
    copies = row_index["row"][row_index.duplicated("digest")]
    targets = row_index.groupby("digest")["target"].transform("nunique")
    contradicting = row_index[targets > 1]
    held_out = row_index[row_index["split"].isin([VALIDATION, TEST])]
    in_train = row_index["digest"][row_index["split"] == TRAIN]
    in_two_splits = held_out["row"][held_out["digest"].isin(in_train)]
    return [
        _share_check(
            "constant_images", "images of one shade", len(constant), total, checks, constant
        ),
        _share_check(
            "duplicates", "copies of an earlier image", len(copies), total, checks, copies
        ),
        _share_check(
            "contradicting_duplicates",
            "copies with contradicting targets",
            len(contradicting),
            total,
            checks,
            contradicting["row"],
            f"{contradicting['digest'].nunique()} groups of identical images",
        ),
        _share_check(
            "split_duplicates",
            "validation and test images that train has too",
            len(in_two_splits),
            len(held_out),
            checks,
            in_two_splits,
            "prepare drops the copy in train",
        ),
    ]


def check_course5_as_fer7(codes: NDArray[np.int64], checks: DataChecks) -> CheckResult:
    """Check whether a source given as fer7 has the labels of course5.

    Args:
        codes: Rows by emotion code, [256].
        checks: The share of rows that need codes 5 and 6.
    """
    upper = int(codes[5:OTHER_EMOTION].sum())
    share = upper / max(1, int(codes[:OTHER_EMOTION].sum()))
    low = share < checks.course5_as_fer7
    return CheckResult(
        check="course5_as_fer7",
        title="rows with the codes 5 and 6, which a course5 source lacks",
        count=upper,
        value=share,
        limit=checks.course5_as_fer7,
        bound="at least",
        verdict="stop" if low else "ok",
        note="read it with --label-set course5" if low else "",
    )


def check_keypoint_middle(row_index: pd.DataFrame, checks: DataChecks) -> CheckResult:
    """Check whether keypoints are scaled otherwise than to pixels of the frame.

    Args:
        row_index: The result of `index_rows` for all faces, of keypoints.
        checks: How far the faces' middle may be from that of the frame.
    """
    middles = {axis: (row_index[f"{axis}_low"] + row_index[f"{axis}_high"]) / 2 for axis in "xy"}
    shifts = {axis: abs(middle.median() / FRAME - 0.5) for axis, middle in middles.items()}
    axis = max(shifts, key=lambda axis: shifts[axis])
    low, high = row_index[f"{axis}_low"].min(), row_index[f"{axis}_high"].max()
    is_off = bool(shifts[axis] > checks.keypoint_middle)
    scaled = ", as if scaled to 0-1" if high <= 1 else ""
    note = (
        f"columns ..._{axis}: from {low:.4g} to {high:.4g}, with {middles[axis].median():.4g} as "
        f"the middle of a face{scaled}; expected pixels of the {FRAME}x{FRAME} image, with about "
        f"{FRAME // 2} as the middle"
    )
    return CheckResult(
        check="keypoint_middle",
        title="faces off the middle of the frame",
        count=int(((middles[axis] / FRAME - 0.5).abs() > checks.keypoint_middle).sum()),
        value=float(shifts[axis]),
        limit=checks.keypoint_middle,
        bound="at most",
        verdict="stop" if is_off else "ok",
        note=note if is_off else "",
    )


def check_class_balance(faces: dict[str, int], checks: DataChecks) -> CheckResult:
    """Check the ratio of the rarest emotion to the commonest.

    Args:
        faces: Faces kept, by emotion.
        checks: The lowest ratio.
    """
    rarest = min(faces, key=lambda label: faces[label])
    commonest = max(faces, key=lambda label: faces[label])
    ratio = faces[rarest] / max(1, faces[commonest])
    verdict: Verdict = "ok" if ratio >= _BALANCED_RATIO else "warning"
    if ratio < checks.class_balance or not faces[rarest]:
        verdict = "stop"
    return CheckResult(
        check="class_balance",
        title="rarest emotion to commonest",
        count=faces[rarest],
        value=ratio,
        limit=checks.class_balance,
        bound="at least",
        verdict=verdict,
        note=f"{faces[rarest]:,} {rarest} to {faces[commonest]:,} {commonest}",
    )


def _share_check(
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
    return CheckResult(
        check=check,
        title=title,
        count=count,
        value=share,
        limit=limit,
        bound="at most",
        verdict=verdict,
        note=note if count else "",
        rows=[int(row) for row in rows[:_MAX_ROWS_SHOWN]],
    )


def _digests(values: NDArray) -> NDArray[np.uint64]:
    digests = b"".join(
        hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=8).digest()
        for value in values
    )
    return np.frombuffer(digests, dtype=np.uint64)
