"""Summarise a source in numbers, for the statistics JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from emotion_ai.faces.arrays import Faces, FacesInfo
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.faces.kinds import KEYPOINTS
from emotion_ai.faces.labels import label_set_names
from emotion_ai.sources.open import Source
from emotion_ai.steps.ingest.check_results import CheckResult
from emotion_ai.steps.ingest.counts import IngestCounts

_MAX_SKIPPED_SHOWN = 20
_BRIGHTNESS_QUANTILES = (0.05, 0.5, 0.95)


def summarise(
    faces: Faces,
    counts: IngestCounts,
    results: Sequence[CheckResult],
    source: Source,
) -> dict[str, Any]:
    """Build the content of the statistics JSON.

    Args:
        faces: The faces written.
        counts: The counts of the source.
        results: The results of the checks.
        source: The source that was read.

    Returns:
        Counts, "emotion_words" (what each word or code of the source was read as, "" for left out),
        "brightness" (of images' means, 0-255), "findings" (the checks) and, for keypoints,
        "keypoints" (mean and deviation in pixels of the 96x96 frame).
    """
    subjects = faces.column("subject")
    statistics: dict[str, Any] = {
        "source": faces.info.source,
        "fingerprint": faces.info.fingerprint,
        "kind": faces.info.kind,
        "rows_read": counts.rows_read,
        "rows_kept": len(faces),
        "rows_left_out": counts.rows_left_out,
        "rows_of_other_emotions": counts.rows_of_other_emotions,
        "labels_corrected": counts.labels_corrected,
        "rows_left_out_by_correction": counts.rows_left_out_by_correction,
        "subjects": len(np.unique(subjects[subjects >= 0])),
        "emotion_words": _emotion_words(faces.info, counts),
        "ignored_columns": list(source.ignored_columns),
        "files_skipped": len(source.skipped),
        "first_files_skipped": list(source.skipped[:_MAX_SKIPPED_SHOWN]),
        "groups": counts.faces_by_group(),
        "counts": faces.info.counts,
        "brightness": _brightness(counts),
        "findings": [asdict(result) for result in results],
    }
    if faces.info.kind == KEYPOINTS.name:
        statistics["keypoints"] = _keypoints(faces)
    return statistics


def _emotion_words(info: FacesInfo, counts: IngestCounts) -> list[dict[str, Any]]:
    """Return each emotion as the source writes it, what it was read as, and its rows."""
    names = label_set_names(info.label_set) if info.labels else ()
    words = []
    for (word, code), rows in sorted(counts.emotion_words.items(), key=lambda item: item[0][::-1]):
        name = names[code] if code < len(names) else ""
        words.append({"word": word, "emotion": name if name in info.labels else "", "rows": rows})
    return words


def headlines(statistics: dict[str, Any]) -> dict[str, float]:
    """Return the counts of a statistics JSON that KFP shows, by plain names."""
    names = {
        "rows_read": "rows_read",
        "faces": "rows_kept",
        "rows_left_out": "rows_left_out",
        "rows_of_other_emotions": "rows_of_other_emotions",
        "known_persons": "subjects",
        "labels_corrected": "labels_corrected",
    }
    return {name: float(statistics[key]) for name, key in names.items()}


def _brightness(counts: IngestCounts) -> dict[str, float]:
    brightness = counts.faces_index()["brightness"]
    if brightness.empty:
        return {}
    quantiles = brightness.quantile(list(_BRIGHTNESS_QUANTILES))
    return {
        "mean": float(brightness.mean()),
        "deviation": float(brightness.std(ddof=0)),
        **{f"quantile_{q}": float(value) for q, value in quantiles.items()},
    }


def _keypoints(faces: Faces) -> dict[str, dict[str, float]]:
    count = np.zeros((len(NAMES), 2))
    total, squares = np.zeros_like(count), np.zeros_like(count)
    for shard in faces.shards():
        points = shard.targets.astype(np.float64)
        count += np.count_nonzero(~np.isnan(points), axis=0)
        total += np.nansum(points, axis=0)
        squares += np.nansum(points**2, axis=0)
    summary: dict[str, dict[str, float]] = {}
    for k, name in enumerate(NAMES):
        annotated = int(count[k, 0])
        summary[name] = {"annotated": annotated}
        if annotated:
            mean = total[k] / annotated
            deviation = np.sqrt(np.maximum(0, squares[k] / annotated - mean**2))
            summary[name] |= {"x_mean": float(mean[0]), "y_mean": float(mean[1])}
            summary[name] |= {
                "x_deviation": float(deviation[0]),
                "y_deviation": float(deviation[1]),
            }
    return summary
