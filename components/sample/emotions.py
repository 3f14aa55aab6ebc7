"""The movements of a face in each emotion: brows, lids, nose and mouth.

After the prototypes of Ekman and Friesen's Facial Action Coding System (1978): anger lowers and
draws together the brows, disgust wrinkles the nose and lifts the upper lip, and so on. Lengths are
in face units (half the distance between the eyes is 1), the others are strengths from 0 to 1.
"""

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.labels import SAMPLE_LABEL_SET, label_set_names

# The amount in a face at rest, and its maximum variation whatever the emotion.
MOVEMENTS: dict[str, tuple[float, float]] = {
    "brow_inner": (0.0, 0.09),  # up
    "brow_outer": (0.0, 0.09),  # up
    "brow_together": (0.0, 0.04),
    "brow_arch": (0.13, 0.07),
    "upper_lid": (0.2, 0.05),  # opening above the line of the eye's corners
    "lower_lid": (0.13, 0.035),  # opening below it
    "corner_up": (0.0, 0.07),
    "corner_out": (0.0, 0.06),
    "open": (0.03, 0.06),
    "jaw": (0.0, 0.05),
    "lip": (0.22, 0.06),  # thickness
    "lip_up": (0.0, 0.03),
    "round": (0.2, 0.15),
    "teeth": (0.3, 0.3),
    "wrinkle": (0.0, 0.12),  # of the nose
    "fold": (0.15, 0.15),  # from nose to mouth
    "frown": (0.05, 0.1),  # between the brows
    "forehead": (0.05, 0.1),
}

# The amounts that an emotion adds at full strength.
EMOTION_MOVEMENTS: dict[str, dict[str, float]] = {
    "angry": {
        "brow_inner": -0.3, "brow_outer": 0.04, "brow_together": 0.14, "brow_arch": -0.06,
        "upper_lid": -0.03, "lower_lid": -0.04, "corner_up": -0.1, "corner_out": -0.04,
        "open": 0.1, "lip": -0.07, "round": 0.3, "teeth": 0.5, "frown": 0.9, "fold": 0.2,
    },
    "disgust": {
        "brow_inner": -0.16, "brow_outer": -0.1, "brow_together": 0.06, "upper_lid": -0.09,
        "lower_lid": -0.07, "corner_up": -0.16, "open": 0.06, "lip_up": 0.26, "wrinkle": 0.9,
        "fold": 0.8, "teeth": 0.3, "frown": 0.3,
    },
    "fear": {
        "brow_inner": 0.26, "brow_outer": 0.06, "brow_together": 0.1, "brow_arch": -0.08,
        "upper_lid": 0.12, "lower_lid": 0.02, "corner_up": -0.08, "corner_out": 0.14,
        "open": 0.3, "jaw": 0.15, "teeth": 0.3, "forehead": 0.5,
    },
    "happy": {
        "upper_lid": -0.04, "lower_lid": -0.06, "corner_up": 0.26, "corner_out": 0.2,
        "open": 0.22, "lip": -0.05, "teeth": 0.8, "fold": 0.7,
    },
    "sad": {
        "brow_inner": 0.24, "brow_outer": -0.14, "brow_together": 0.06, "brow_arch": -0.08,
        "upper_lid": -0.07, "corner_up": -0.22, "corner_out": -0.08, "lip": 0.02,
        "frown": 0.3, "forehead": 0.25, "fold": 0.15,
    },
    "surprise": {
        "brow_inner": 0.3, "brow_outer": 0.28, "brow_arch": 0.1, "upper_lid": 0.14,
        "lower_lid": 0.05, "corner_out": -0.18, "open": 0.6, "jaw": 0.5, "round": 0.7,
        "teeth": -0.2, "forehead": 0.6,
    },
    "neutral": {},
}  # fmt: skip

# Lower bounds of some movements; of the others that are not signed it is 0.
_MIN_AMOUNTS = {"upper_lid": 0.05, "lower_lid": 0.03, "lip": 0.1, "brow_arch": 0.0}
_SIGNED = {"brow_inner", "brow_outer", "brow_together", "corner_up", "corner_out"}


def draw_movements(
    rng: np.random.Generator, emotion: NDArray[np.uint8]
) -> dict[str, NDArray[np.float64]]:
    """Draw the amount of each movement for faces that show emotions.

    Args:
        rng: The source of the differences between faces.
        emotion: uint8 [n], codes of the label set fer7.

    Returns:
        Amounts [n] by movement, see `MOVEMENTS`.
    """
    count = len(emotion)
    strength = 0.45 + 0.65 * rng.random(count)
    emotions = label_set_names(SAMPLE_LABEL_SET)
    amounts = {}
    for name, (rest, spread) in MOVEMENTS.items():
        full = np.array([EMOTION_MOVEMENTS[e].get(name, 0.0) for e in emotions])[emotion]
        variation = spread * (2 * rng.random(count) - 1)
        movement_strength = strength * (0.6 + 0.8 * rng.random(count))
        amount = rest + variation + full * movement_strength
        minimum = _MIN_AMOUNTS.get(name, 0.0)
        amounts[name] = amount if name in _SIGNED else np.maximum(amount, minimum)
    return amounts
