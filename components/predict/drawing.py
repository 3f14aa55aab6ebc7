"""Photographs with what was seen on them: boxes, keypoints and bars of the emotions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from components.predict.results import Face


def annotated(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """A copy of `image` uint8 [H, W, 3] RGB with each face's box and keypoints drawn."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for face in faces:
        box = face.box
        draw.rectangle((box.left, box.top, box.right, box.bottom), outline="white", width=2)
        draw.text((box.left, box.top), face.emotion)
        for x, y in face.keypoints:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill="white")
    return np.asarray(picture)


def annotate_file(source: Path, faces: Sequence[Face], target: Path) -> None:
    """Write the annotated copy of a picture file as JPEG."""
    import io

    from components.predict.images import read_image
    from components.storage import write_bytes

    data = io.BytesIO()
    Image.fromarray(annotated(read_image(source), faces)).save(data, "JPEG", quality=92)
    write_bytes(str(target), data.getvalue())
