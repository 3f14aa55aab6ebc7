"""A canvas in face units, on which masks lighten, darken and cover pixels.

Every pixel is mapped to face units, where each part is a shape with a signed distance to its edge.
The distance in pixels, clipped to 0..1, is the share of the pixel that the part covers.
"""

import copy

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.sample.anatomy import Anatomy, keypoints_in_pixels

Field = NDArray[np.floating]  # float32 [n, 96, 96], or broadcastable to it


class Canvas:
    """The pixels [n, 96, 96] of faces being painted, with their coordinates in face units.

    Attributes:
        anatomy: The faces.
        u: Horizontal coordinate of each pixel in face units.
        v: Vertical coordinate of each pixel in face units.
        sharpness: Pixels per face unit.
        pixels: Grays on the scale 0..255.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        pose = {name: expand(values) for name, values in anatomy.pose.items()}
        x = np.arange(FRAME, dtype=np.float32)[None, None, :] - pose["x"]
        y = np.arange(FRAME, dtype=np.float32)[None, :, None] - pose["y"]
        x, y = x / pose["unit"], y / pose["unit"]
        self.u = pose["cosine"] * x + pose["sine"] * y
        self.v = pose["cosine"] * y - pose["sine"] * x
        self.sharpness = pose["unit"]
        self.pixels = np.zeros_like(self.u)

    def around(self, part: str, margin: float) -> "Canvas":
        """Return a view of the canvas around some keypoints; painting on it changes the canvas.

        Args:
            part: Selects the keypoints whose names contain it.
            margin: Space around them in face units, enough for everything painted there.
        """
        index = [k for k, name in enumerate(NAMES) if part in name]
        points = keypoints_in_pixels(self.anatomy)[:, index]
        width = margin * self.anatomy.pose["unit"].max()
        low = np.clip(np.floor(points.min(axis=(0, 1)) - width), 0, FRAME - 1).astype(int)
        high = np.clip(np.ceil(points.max(axis=(0, 1)) + width), 1, FRAME).astype(int)
        window = (slice(None), slice(low[1], high[1]), slice(low[0], high[0]))
        view = copy.copy(self)
        view.u, view.v, view.pixels = self.u[window], self.v[window], self.pixels[window]
        return view

    def coverage(self, distance: Field) -> Field:
        """Return the share of each pixel inside a shape, from its signed distance in face units."""
        return np.clip(distance * self.sharpness + np.float32(0.5), 0, 1)

    def blob(
        self, u: Field | float, v: Field | float, width: Field | float, height: Field | float
    ) -> Field:
        """Return a soft ellipse: 1 at its centre (u, v), 0 outside."""
        du, dv = (self.u - u) / width, (self.v - v) / height
        inside = np.maximum(1 - (du * du + dv * dv), 0)
        return inside * inside

    def paint(self, mask: Field, tone: Field | float) -> None:
        """Blend a tone over the pixels, with the mask as its opacity."""
        self.pixels += mask * (tone - self.pixels)

    def darken(self, mask: Field) -> None:
        """Darken the pixels by the share in the mask; negative shares lighten."""
        self.pixels *= 1 - mask

    def keypoint(self, name: str) -> tuple[Field, Field]:
        """Return a keypoint's u and v."""
        point = self.anatomy.points[:, NAMES.index(name)]
        return expand(point[:, 0]), expand(point[:, 1])


def expand(values: NDArray) -> Field:
    """Expand values [n] to float32 [n, 1, 1], to broadcast over pixels."""
    return np.asarray(values, np.float32)[:, None, None]
