"""The fifteen facial keypoints: their names, order, CSV columns and mirror images.

Names and order are those of Kaggle's "Facial Keypoints Detection" training.csv
(https://www.kaggle.com/c/facial-keypoints-detection/data). Left and right are the person's own,
so the left eye has the larger x. Coordinates are pixels of the 96x96 frame; (0, 0) is the centre
of the first pixel.
"""

import numpy as np

# Side of the frame in pixels.
FRAME = 96

NAMES: tuple[str, ...] = (
    "left_eye_center",
    "right_eye_center",
    "left_eye_inner_corner",
    "left_eye_outer_corner",
    "right_eye_inner_corner",
    "right_eye_outer_corner",
    "left_eyebrow_inner_end",
    "left_eyebrow_outer_end",
    "right_eyebrow_inner_end",
    "right_eyebrow_outer_end",
    "nose_tip",
    "mouth_left_corner",
    "mouth_right_corner",
    "mouth_center_top_lip",
    "mouth_center_bottom_lip",
)

COLUMNS: tuple[str, ...] = tuple(f"{name}_{axis}" for name in NAMES for axis in "xy")


def _mirrored_name(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


# MIRROR[i] is the keypoint that keypoint i becomes when the image is flipped left to right.
MIRROR = np.array([NAMES.index(_mirrored_name(name)) for name in NAMES])

# The later rows of Kaggle's training.csv have only these four.
FOUR_POINTS = np.array(
    [NAMES.index(name) for name in NAMES if name.endswith("eye_center") or name == "nose_tip"]
    + [NAMES.index("mouth_center_bottom_lip")]
)
