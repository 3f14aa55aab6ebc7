"""The example photo: three drawn faces, for users without a photo at hand."""

import io

import numpy as np
from PIL import Image

from emotion_ai.sample.drawing import draw_faces

_SEED = 1
# Of the sample's first faces: a surprised, a sad and a happy one.
_CHOSEN = (0, 4, 6)
_SIDE, _GAP = 288, 36
_BACKGROUND = (238, 232, 222)


def example_photo() -> bytes:
    """Draw three faces side by side, as a JPEG file."""
    faces = next(draw_faces(max(_CHOSEN) + 1, _SEED)).images[np.array(_CHOSEN)]
    size = (_GAP + len(_CHOSEN) * (_SIDE + _GAP), _SIDE + 2 * _GAP)
    picture = Image.new("RGB", size, _BACKGROUND)
    for k, face in enumerate(faces):
        scaled = Image.fromarray(face).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        picture.paste(scaled, (_GAP + k * (_SIDE + _GAP), _GAP))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=90)
    return data.getvalue()
