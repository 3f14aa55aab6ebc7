"""Named measures of a face, and how pleasant its expression looks.

The measures are distances between keypoints, seen from the front (see `head_pose`), in distances
between the centres of the eyes. The fifteen keypoints have no eyelids, so nothing tells how far the
eyes are open.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.faces.labels import words_like

MEASURES = (
    "mouth_opening",
    "mouth_width",
    "smile",
    "left_brow_raise",
    "right_brow_raise",
    "brow_gap",
    "left_eye_width",
    "right_eye_width",
)
# Eyes that are nearer to each other, in distances of the model's, are misplaced.
_MIN_EYES = 0.5
_POSITIVE = "happy"
_NEGATIVE = frozenset({"angry", "contempt", "disgust", "fear", "sad"})


def measure(frontal: NDArray[np.float64]) -> dict[str, float] | None:
    """Measure a face from the front.

    Args:
        frontal: [15, 2], y up; see `head_pose.HeadFit`.

    Returns:
        The values of `MEASURES`: `mouth_opening` from the upper edge of the upper lip to the lower
        edge of the lower one, so a closed mouth is not 0; `mouth_width` from corner to corner;
        `smile`, how high the corners are above the middle of the two edges; a brow's raise, how
        high the middle of its ends is above the eye's centre; `brow_gap` between the brows' inner
        ends; an eye's width from corner to corner. None where the eyes are in one place.
    """
    at = dict(zip(NAMES, frontal, strict=True))
    eyes = _distance(at["left_eye_center"], at["right_eye_center"])
    if eyes < _MIN_EYES:
        return None
    upper_lip, lower_lip = at["mouth_center_top_lip"], at["mouth_center_bottom_lip"]
    corners = (at["mouth_left_corner"] + at["mouth_right_corner"]) / 2
    lengths = {
        "mouth_opening": _distance(upper_lip, lower_lip),
        "mouth_width": _distance(at["mouth_left_corner"], at["mouth_right_corner"]),
        "smile": float((corners - (upper_lip + lower_lip) / 2)[1]),
        "brow_gap": _distance(at["left_eyebrow_inner_end"], at["right_eyebrow_inner_end"]),
    }
    for side in ("left", "right"):
        ends = at[f"{side}_eyebrow_inner_end"] + at[f"{side}_eyebrow_outer_end"]
        lengths[f"{side}_brow_raise"] = float((ends / 2 - at[f"{side}_eye_center"])[1])
        corner = at[f"{side}_eye_inner_corner"]
        lengths[f"{side}_eye_width"] = _distance(corner, at[f"{side}_eye_outer_corner"])
    return {name: lengths[name] / eyes for name in MEASURES}


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.hypot(*(a - b)))


def valence(probabilities: Mapping[str, float]) -> float | None:
    """Return the probability of happiness minus that of the most probable negative emotion.

    Negative are anger, contempt, disgust, fear and sadness.

    Args:
        probabilities: The probability of each emotion of a label set.

    Returns:
        From -1 to 1; None where the label set lacks happiness or all negative emotions.

    Example:
        >>> valence({"happy": 0.5, "sad": 0.25, "neutral": 0.25})
        0.25
    """
    known = {words_like(label)[:1]: p for label, p in probabilities.items()}
    negative = [p for word, p in known.items() if _NEGATIVE.intersection(word)]
    if (_POSITIVE,) not in known or not negative:
        return None
    return known[(_POSITIVE,)] - max(negative)
