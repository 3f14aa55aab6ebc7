"""Augmentation: a policy as data, and the faces that come of it.

Mirror, rotation, scale and shift are one affine matrix a face, applied to the pixels and to the
keypoints. Erasing is that of Zhong et al. 2017 (https://arxiv.org/abs/1708.04896).
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emotion_ai.faces.geometry import affine_matrices, move_keypoints, swap_sides, warp
from emotion_ai.settings import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class AugmentationPolicy(StrictModel):
    """How far a training face may be changed; 0 leaves a thing alone.

    Every amount is drawn evenly from both sides of "unchanged".

    Example:
        policy = AugmentationPolicy(**faces.info.augmentation)
    """

    mirror: Share = Field(0.5, description="probability of a flip left to right")
    keypoint_bias: Annotated[float, Field(ge=-8, le=8)] = Field(
        0.0, description="pixels by which keypoints stand right of what they mark"
    )
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(10.0, description="degrees at most")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="share at most by which a face grows or shrinks"
    )
    shift: Share = Field(0.06, description="share of the image's side at most")
    brightness: Share = Field(0.1, description="share of the gray scale at most, added")
    contrast: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="share at most by which differences from the image's mean change"
    )
    erasing: Share = Field(0.0, description="probability of a rectangle painted over")
    erasing_size: Share = Field(
        0.3, description="its sides at most, as share of the image's; at least half of that"
    )


def augment(
    images: NDArray,
    keypoints: NDArray | None,
    policy: AugmentationPolicy,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Change each face by amounts drawn from the policy.

    Args:
        images: uint8 or float32 [n, H, H] on the scale 0..255.
        keypoints: [n, 15, 2] in pixels of these images, NaN = not annotated, or None. They keep
            the policy's bias: a habit of who marked them neither mirrors nor turns with a face.
        policy: how far.
        rng: where the amounts come from; each draw is made whatever the policy, so that changing
            one amount leaves the others as they were.

    Returns:
        images float32 [n, H, H] within 0..255, and keypoints float32 [n, 15, 2] or None. A
        keypoint may end outside the frame.
    """
    count, size = images.shape[:2]
    mirrored = rng.random(count) < policy.mirror
    matrices = affine_matrices(
        size,
        mirrored=mirrored,
        degrees=policy.rotation * rng.uniform(-1, 1, count),
        scale=(1 + policy.scale) ** rng.uniform(-1, 1, count),
        shift=size * policy.shift * rng.uniform(-1, 1, (count, 2)),
    )
    changed = _change_light(warp(images, matrices), policy, rng)
    _erase(changed, policy, rng)
    if keypoints is None:
        return changed, None
    bias = np.array([policy.keypoint_bias, 0], np.float32)
    moved = move_keypoints(keypoints - bias, matrices) + bias
    moved[mirrored] = swap_sides(moved[mirrored])
    return changed, moved


def _change_light(
    images: NDArray[np.float32], policy: AugmentationPolicy, rng: np.random.Generator
) -> NDArray[np.float32]:
    added = 255 * policy.brightness * rng.uniform(-1, 1, len(images))
    factor = (1 + policy.contrast) ** rng.uniform(-1, 1, len(images))
    offset = np.asarray(added + images.mean(axis=(1, 2)) * (1 - factor), np.float32)
    images *= np.asarray(factor, np.float32)[:, None, None]
    images += offset[:, None, None]
    return np.clip(images, 0, 255, out=images)


def _erase(
    images: NDArray[np.float32], policy: AugmentationPolicy, rng: np.random.Generator
) -> None:
    count, size = len(images), images.shape[1]
    chosen = rng.random(count) < policy.erasing
    sides = np.rint(size * policy.erasing_size * (0.5 + rng.random((count, 2)) / 2)).astype(int)
    starts = np.floor((size + 1 - sides) * rng.random((count, 2))).astype(int)
    grays = 255 * rng.random(count)
    for k in np.flatnonzero(chosen):
        (top, left), (height, width) = starts[k], sides[k]
        images[k, top : top + height, left : left + width] = grays[k]
