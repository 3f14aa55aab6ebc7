"""A copy of a video with what was seen drawn on it: boxes, tracks, keypoints, emotions."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.opencv import opencv, silence
from emotion_ai.apps.watch.outputs import appearing
from emotion_ai.client.drawing import overlay

# What FFmpeg writes without a codec under the GPL: MPEG-4 Part 2, which players play, and VP8,
# which browsers play too, at eight times the work.
_CODECS = {".mp4": "mp4v", ".webm": "VP80"}
_HIGHEST_FPS = 60.0
_TAG, _INK = (18, 22, 28, 255), (245, 246, 248, 255)
# A frame is shown for as long as it was the newest, but no longer than this.
_LONGEST_S = 10.0
# How far the number of frames that a WebM tells may be off.
_LENGTH_TOLERANCE = 0.02


class Annotator:
    """Writes the frames of looks, at `fps` a second; between looks, with what was seen last."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self.fps = min(fps, _HIGHEST_FPS)
        self.written = 0
        self._skipped = 0
        self._size = (0, 0)
        self._writer: Any = None
        self._drawing: Image.Image | None = None

    def add(self, look: FrameResult) -> None:
        """Write the look's frame as often as its time asks for."""
        if look.sightings is not None:
            self._drawing = _drawing(look.frame.image.shape, look.sightings)
        due = round(look.frame.time_s * self.fps) + 1 - self.written - self._skipped
        if due < 1:
            return
        if self._writer is None:
            self._begin(look.frame.image)
        picture = _with(look.frame.image, self._drawing)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = opencv().resize(picture, self._size)
        repeated = min(due, round(_LONGEST_S * self.fps))
        for _ in range(repeated):
            self._writer.write(picture)
        self.written += repeated
        self._skipped += due - repeated

    def end(self) -> None:
        """Write what is left; raises `OSError` where the video is not what was written."""
        if self._writer is None:
            return
        with silence():
            self._writer.release()
        if not self._is_whole():
            raise OSError("the video could not be written whole; is the disk full?")

    def _is_whole(self) -> bool:
        """OpenCV does not say when a disk is full; then the end is missing, or the index."""
        cv2 = opencv()
        last_s = (self.written - 1) / self.fps
        video = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        count = video.get(cv2.CAP_PROP_FRAME_COUNT)
        video.set(cv2.CAP_PROP_POS_FRAMES, self.written - 1)
        there_s = video.get(cv2.CAP_PROP_POS_MSEC) / 1000 if video.grab() else -math.inf
        video.release()
        tolerance = 1 + _LENGTH_TOLERANCE * self.written
        return max(abs(count - self.written), self.fps * abs(there_s - last_s)) <= tolerance

    def _begin(self, image: NDArray[np.uint8]) -> None:
        cv2 = opencv()
        # The codecs halve the colours' resolution.
        self._size = (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
        codec = cv2.VideoWriter_fourcc(*_CODECS[self._path.suffix.lower()])
        path = str(self._path.absolute())
        with silence():
            self._writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, codec, self.fps, self._size)
        if not self._writer.isOpened():
            raise OSError("no video can be written there")


@contextlib.contextmanager
def open_annotator(path: Path, fps: float) -> Iterator[Annotator]:
    """An annotated video that is at `path` when the block has ended well."""
    with appearing(path) as partial:
        annotator = Annotator(partial, fps)
        yield annotator
        annotator.end()


def _drawing(shape: tuple[int, ...], seen: Sequence[TrackedFace]) -> Image.Image:
    """What was seen, drawn for frames of this shape, in their order of colours: BGR and alpha."""
    layer = overlay((shape[1], shape[0]), [face for _, face in seen])
    draw = ImageDraw.Draw(layer)
    for track, face in seen:
        size = float(np.clip(face.box.height / 8, 10.0, max(10.0, min(layer.size) / 18)))
        font = ImageFont.load_default(size)
        name = str(track)
        wide = draw.textlength(name, font) + 0.8 * size
        left, top = face.box.left, face.box.top
        corners = (left, top, left + wide, top + 1.3 * size)
        draw.rounded_rectangle(corners, 0.3 * size, _TAG)
        draw.text((left + wide / 2, top + 0.65 * size), name, _INK, font, anchor="mm")
    red, green, blue, alpha = layer.split()
    return Image.merge("RGBA", (blue, green, red, alpha))


def _with(image: NDArray[np.uint8], drawing: Image.Image | None) -> NDArray[np.uint8]:
    """A frame with the drawing on it."""
    place = drawing.getbbox() if drawing else None
    if drawing is None or place is None or drawing.size != (image.shape[1], image.shape[0]):
        return image
    picture = Image.fromarray(image)
    part = drawing.crop(place)
    picture.paste(part.convert("RGB"), place, part.getchannel("A"))
    return np.asarray(picture)
