"""Write a copy of a video with boxes, track numbers, keypoints and emotions drawn on it."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.opencv import load_opencv, silence_stderr
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.apps.watch.video_notes import add_notes
from emotion_ai.client.drawing import draw_overlay
from emotion_ai.client.results import Face

# Codecs of FFmpeg that are not under the GPL: MPEG-4 Part 2, for players, and VP8, for browsers
# too, at eight times the processor time.
_CODECS = {".mp4": "mp4v", ".webm": "VP80"}
_MAX_FPS = 60.0
# Draws faces on a transparent picture of this width and height.
_Draw = Callable[[tuple[int, int], Sequence[Face]], Image.Image]
_TAG_COLOUR, _TEXT_COLOUR = (18, 22, 28, 255), (245, 246, 248, 255)
# A frame is repeated until the next one's time, but for no longer than this.
_MAX_REPEAT_S = 10.0
# Relative error of the frame count in the header of a WebM.
_LENGTH_TOLERANCE = 0.02


class _Patch(NamedTuple):
    """A part of what is drawn: where it is, its colours, BGR, and how opaque it is."""

    left: int
    top: int
    colours: Image.Image
    opacity: Image.Image


class _Overlay(NamedTuple):
    """What is drawn on frames of this width and height."""

    size: tuple[int, int]
    patches: list[_Patch]


class VideoAnnotator:
    """Writes frames with drawings; frames that were not analysed get those of the last one.

    Args:
        path: The video to write, .mp4 or .webm.
        fps: Frames per second, at most 60.
        draw: Draws the faces.
    """

    def __init__(self, path: Path, fps: float, draw: _Draw) -> None:
        self._path = path
        self._draw = draw
        self.fps = min(fps, _MAX_FPS)
        self.written = 0
        self._skipped = 0
        self._size = (0, 0)
        self._writer: Any = None
        self._overlay: _Overlay | None = None

    def add(self, result: FrameResult) -> None:
        """Write the frame as many times as are needed to reach its time."""
        if result.faces is not None:
            self._overlay = _draw_faces(result.frame.image.shape, result.faces, self._draw)
        due = round(result.frame.time_s * self.fps) + 1 - self.written - self._skipped
        if due < 1:
            return
        if self._writer is None:
            self._open_writer(result.frame.image)
        picture = _blend(result.frame.image, self._overlay)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = load_opencv().resize(picture, self._size)
        repeated = min(due, round(_MAX_REPEAT_S * self.fps))
        for _ in range(repeated):
            self._writer.write(picture)
        self.written += repeated
        self._skipped += due - repeated

    def end(self) -> None:
        """Finish the video; raise `OSError` where it is incomplete on disk."""
        if self._writer is None:
            return
        with silence_stderr():
            self._writer.release()
        if not self._is_complete():
            raise OSError("the video could not be written completely; is the disk full?")

    def _is_complete(self) -> bool:
        """Read the video's end: OpenCV does not report a full disk, which cuts off end or index."""
        cv2 = load_opencv()
        last_s = (self.written - 1) / self.fps
        video = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        count = video.get(cv2.CAP_PROP_FRAME_COUNT)
        video.set(cv2.CAP_PROP_POS_FRAMES, self.written - 1)
        found_s = video.get(cv2.CAP_PROP_POS_MSEC) / 1000 if video.grab() else -math.inf
        video.release()
        tolerance = 1 + _LENGTH_TOLERANCE * self.written
        return max(abs(count - self.written), self.fps * abs(found_s - last_s)) <= tolerance

    def _open_writer(self, image: NDArray[np.uint8]) -> None:
        cv2 = load_opencv()
        # The codecs store colours at half the resolution, so sides are even.
        self._size = (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
        codec = cv2.VideoWriter_fourcc(*_CODECS[self._path.suffix.lower()])
        path = str(self._path.absolute())
        with silence_stderr():
            self._writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, codec, self.fps, self._size)
        if not self._writer.isOpened():
            raise OSError("no video can be written there")


@contextlib.contextmanager
def open_annotator(
    path: Path, fps: float, draw: _Draw = draw_overlay, about: Mapping[str, str] = {}
) -> Iterator[VideoAnnotator]:
    """Open an annotated video that appears at `path` when the block succeeds.

    Args:
        path: The video to write, .mp4 or .webm.
        fps: Frames per second.
        draw: `drawing.draw_overlay` or `drawing.draw_boxes`.
        about: What its metadata says, by name.
    """
    with atomic_output(path) as partial:
        annotator = VideoAnnotator(partial, fps, draw)
        yield annotator
        annotator.end()
        if annotator.written:
            add_notes(partial, about)


def _draw_faces(shape: tuple[int, ...], faces: Sequence[TrackedFace], draw_all: _Draw) -> _Overlay:
    """Draw faces for frames of this shape."""
    layer = draw_all((shape[1], shape[0]), [face for _, face in faces])
    draw = ImageDraw.Draw(layer)
    for track, face in faces:
        size = float(np.clip(face.box.height / 8, 10.0, max(10.0, min(layer.size) / 18)))
        font = ImageFont.load_default(size)
        name = str(track)
        width = draw.textlength(name, font) + 0.8 * size
        left, top = face.box.left, face.box.top
        corners = (left, top, left + width, top + 1.3 * size)
        draw.rounded_rectangle(corners, 0.3 * size, _TAG_COLOUR)
        middle = (left + width / 2, top + 0.65 * size)
        draw.text(middle, name, _TEXT_COLOUR, font, anchor="mm")
    return _Overlay(layer.size, list(_cut_out(layer)))


def _cut_out(layer: Image.Image) -> Iterator[_Patch]:
    """Cut out what is drawn: most of a frame has nothing on it, and would cost as much."""
    drawn = np.asarray(layer.getchannel("A")).any(0)
    edges = np.flatnonzero(np.diff(drawn, prepend=False, append=False))
    for left, right in edges.reshape(-1, 2).tolist():
        columns = layer.crop((left, 0, right, layer.height))
        rows = np.flatnonzero(np.asarray(columns.getchannel("A")).any(1))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        red, green, blue, alpha = layer.crop((left, top, right, bottom)).split()
        yield _Patch(left, top, Image.merge("RGB", (blue, green, red)), alpha)


def _blend(image: NDArray[np.uint8], overlay: _Overlay | None) -> NDArray[np.uint8]:
    """Return the frame with the overlay on it, where one of its size has something drawn."""
    if overlay is None or overlay.size != (image.shape[1], image.shape[0]):
        return image
    picture = image.copy()
    for left, top, colours, opacity in overlay.patches:
        area = picture[top : top + colours.height, left : left + colours.width]
        part = Image.fromarray(area)
        part.paste(colours, mask=opacity)
        area[:] = np.asarray(part)
    return picture
