"""Why an answer is none: the words, and what the picture and the head's pose alone can tell.

The limits come from validation faces made smaller or blurred, with the pretrained networks
(`make bench NAME=refusal`): a face of 24 pixels keeps 84 % of the accuracy, one of 16 half of it; a
blur of 1.5 pixels of 48, of which 7 in 10 faces are below the limit of sharpness, costs a third.
Faces that are turned by more than 40 degrees are too few in any data here to know how well they do.
"""

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.head_pose import Pose

TOO_SMALL = "too small"
BLURRED = "blurred"
NOT_A_FACE = "not a face"
TURNED_AWAY = "turned away"
AMBIGUOUS = "ambiguous"

# What the exported graph's output `cannot_tell` may say; the first is an answer.
BY_THE_NETWORKS = ("", NOT_A_FACE, AMBIGUOUS)
# Pixels of the picture along the shorter side of what was cropped.
MIN_SIDE = 24
# The contrast of second differences in that of first ones, which depends on no light.
MIN_SHARPNESS = 0.55
# Degrees, to each side.
MAX_YAW, MAX_PITCH = 40, 40
# A contrast of gray values below which a picture is plain.
_PLAIN = 0.5


def picture_reason(crop: NDArray[np.uint8], side: float, networks: str) -> str:
    """Return why the answer to a face is none, by its picture and the networks.

    Args:
        crop: The face, uint8 [96, 96, 1].
        side: The shorter side of what was cropped, in pixels of the picture.
        networks: What the networks say; see `BY_THE_NETWORKS`.

    Returns:
        A reason, or "". What is too small or blurred comes before what the networks take it for.
    """
    if side < MIN_SIDE:
        return TOO_SMALL
    return BLURRED if sharpness(crop[..., 0]) < MIN_SHARPNESS else networks


def pose_reason(pose: Pose | None, otherwise: str) -> str:
    """Return why the answer to a face is none, by its pose, where nothing speaks against it yet.

    Args:
        pose: How the head is turned; None where the keypoints are those of no face.
        otherwise: What `picture_reason` returned.
    """
    if otherwise not in ("", AMBIGUOUS):
        return otherwise
    if pose is None:
        return NOT_A_FACE
    is_turned = abs(pose.yaw) > MAX_YAW or abs(pose.pitch) > MAX_PITCH
    return TURNED_AWAY if is_turned else otherwise


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Return how sharp a picture of an even side is, at half its side; 1.4 is usual for a face.

    Args:
        picture: uint8 [H, H].
    """
    half = len(picture) // 2
    gray = picture.reshape(half, 2, half, 2).mean((1, 3))
    down, right = np.diff(gray, axis=0)[:, 1:], np.diff(gray, axis=1)[1:]
    inner = gray[1:-1, 1:-1]
    around = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    first = np.sqrt(np.mean(down**2 + right**2))
    if first < _PLAIN:
        return 0.0
    return float((4 * inner - around).std() / first)
