"""Augmentation: a policy as data, and its application to images and keypoints.

Mirror, rotation, scale and shift are one affine matrix a face, applied to both pixels and
keypoints. Erasing is that of Zhong et al. 2017 (https://arxiv.org/abs/1708.04896).
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emotion_ai.faces.degradation import degrade
from emotion_ai.faces.geometry import affine_matrices, move_keypoints, swap_left_right, warp
from emotion_ai.settings import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class AugmentationPolicy(StrictModel):
    """How much a training face may be changed; 0 turns a transformation off.

    Amounts are drawn uniformly between their positive and negative maximum.

    Example:
        policy = AugmentationPolicy(**faces.info.augmentation)
    """

    mirror: Share = Field(0.5, description="probability of a flip left to right")
    keypoint_bias: Annotated[float, Field(ge=-8, le=8)] = Field(
        0.0, description="pixels by which annotated keypoints lie right of the true points"
    )
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(10.0, description="maximum in degrees")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="maximum relative growth or shrinkage of the face"
    )
    shift: Share = Field(0.06, description="maximum as a share of the image's side")
    brightness: Share = Field(
        0.1, description="maximum added or subtracted, as a share of the gray scale"
    )
    contrast: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="maximum relative change of differences from the image's mean"
    )
    erasing: Share = Field(0.0, description="probability of filling a rectangle with one gray")
    erasing_size: Share = Field(
        0.3,
        description="maximum side of that rectangle, as a share of the image's side; the minimum "
        "is half of it",
    )
    degraded: Share = Field(
        0.0,
        description="probability of showing the face as a worse camera would: with noise, blurred "
        "or as JPEG",
    )


def augment(
    images: NDArray,
    keypoints: NDArray | None,
    policy: AugmentationPolicy,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Transform each face by amounts drawn from the policy.

    Args:
        images: uint8 or float32 [n, H, H] on the scale 0..255.
        keypoints: [n, 15, 2] in pixels of these images, NaN = not annotated, or None. The policy's
            `keypoint_bias` is neither mirrored nor rotated: it is a property of the annotations,
            not of the face.
        policy: Which transformations to apply, and how strongly.
        rng: The source of the amounts. Every amount is drawn whatever the policy, so that changing
            one setting leaves the draws of the others unchanged. Degrading draws from a generator
            of its own, which this one spawns: what is drawn from this one later stays the same too.

    Returns:
        Images float32 [n, H, H] within 0..255, and keypoints float32 [n, 15, 2] or None. A
        keypoint may end outside the frame.

    Example:
        rng = np.random.default_rng(1)
        images, keypoints = augment(rows.images, rows.targets, AugmentationPolicy(), rng)
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
    augmented = _jitter_light(warp(images, matrices), policy, rng)
    _erase(augmented, policy, rng)
    if policy.degraded:
        # Last, as the camera is: what hides a part of the face is seen by it too.
        degrade(augmented, policy.degraded, rng.spawn(1)[0])
    if keypoints is None:
        return augmented, None
    bias = np.array([policy.keypoint_bias, 0], np.float32)
    moved = move_keypoints(keypoints - bias, matrices) + bias
    moved[mirrored] = swap_left_right(moved[mirrored])
    return augmented, moved


def _jitter_light(
    images: NDArray[np.float32], policy: AugmentationPolicy, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change brightness and contrast, in place."""
    added = 255 * policy.brightness * rng.uniform(-1, 1, len(images))
    factor = (1 + policy.contrast) ** rng.uniform(-1, 1, len(images))
    offset = np.asarray(added + images.mean(axis=(1, 2)) * (1 - factor), np.float32)
    images *= np.asarray(factor, np.float32)[:, None, None]
    images += offset[:, None, None]
    return np.clip(images, 0, 255, out=images)


def _erase(
    images: NDArray[np.float32], policy: AugmentationPolicy, rng: np.random.Generator
) -> None:
    """Fill a random rectangle of some images with one gray, in place."""
    count, size = len(images), images.shape[1]
    erased = rng.random(count) < policy.erasing
    sides = np.rint(size * policy.erasing_size * (0.5 + rng.random((count, 2)) / 2)).astype(int)
    starts = np.floor((size + 1 - sides) * rng.random((count, 2))).astype(int)
    grays = 255 * rng.random(count)
    for index in np.flatnonzero(erased):
        (top, left), (height, width) = starts[index], sides[index]
        images[index, top : top + height, left : left + width] = grays[index]
