"""Detect, predict and track the faces in a sequence of frames."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.apps.watch.frames import Choice, Frame
from emotion_ai.apps.watch.opencv import load_opencv
from emotion_ai.client.following import DETECTIONS_PER_S, Follower
from emotion_ai.client.predictor import Predictor
from emotion_ai.client.results import Box, Face
from emotion_ai.errors import EmotionAIError

MAX_FRAMES_AHEAD = 16


class TrackedFace(NamedTuple):
    """A face, and the number of its track."""

    track: int
    face: Face


class FrameResult(NamedTuple):
    """A frame with its faces in order of track; `faces` is None where it was not analysed."""

    frame: Frame
    faces: tuple[TrackedFace, ...] | None


# A frame, and its faces once they are predicted; None where it is not analysed.
_Pending = tuple[Frame, Future[tuple[TrackedFace, ...]] | None]


def analyse_frames(
    frames: Iterable[Frame],
    predictor: Predictor,
    choose: Choice,
    max_bytes_ahead: int,
    detections_per_s: float = DETECTIONS_PER_S,
) -> Iterator[FrameResult]:
    """Analyse the faces in the frames that are chosen, in order; pass on the others.

    Args:
        frames: The frames, in order of time.
        predictor: Detects and predicts the faces.
        choose: Chooses the frames to analyse.
        max_bytes_ahead: Bytes of frames to read ahead while others are analysed, which are at most
            `MAX_FRAMES_AHEAD` frames; 0 for a live source.
        detections_per_s: See `Follower`.

    Yields:
        A result for each frame.

    Raises:
        InputError: `frames` raised it, after the results of all frames before; or the server
            refused a request.
        Unavailable: Likewise, or the server did not answer.
    """
    follower = Follower(predictor.detector, detections_per_s)
    with contextlib.ExitStack() as stack:
        # Faces are detected in later frames while those of earlier ones are followed, in order.
        detecting, following = (_open_thread(stack) for _ in range(2))

        def submit(frame: Frame) -> _Pending:
            if not choose(frame.number, frame.time_s):
                return frame, None
            detected = None
            if follower.is_due(frame.image, frame.time_s):
                detected = detecting.submit(_detect, predictor, frame)
            return frame, following.submit(_follow, follower, predictor, frame, detected)

        submitted = map(submit, frames)
        for frame, future in _read_ahead(submitted, max_bytes_ahead):
            yield FrameResult(frame, future.result() if future else None)


def _open_thread(stack: contextlib.ExitStack) -> ThreadPoolExecutor:
    thread = ThreadPoolExecutor(1)
    # Requests that are still in flight end with the client's connection.
    stack.callback(thread.shutdown, wait=False, cancel_futures=True)
    return thread


def _rgb(frame: Frame) -> NDArray[np.uint8]:
    cv2 = load_opencv()
    pixels: NDArray[np.uint8] = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB)
    return pixels


def _detect(predictor: Predictor, frame: Frame) -> list[Box]:
    return predictor.detector.find_faces(_rgb(frame))


def _follow(
    follower: Follower, predictor: Predictor, frame: Frame, detected: Future[list[Box]] | None
) -> tuple[TrackedFace, ...]:
    def predict(pixels: NDArray[np.uint8], boxes: Sequence[Box]) -> list[Face]:
        return predictor.predict(pixels, boxes=boxes)

    boxes = detected.result() if detected else None
    faces = follower.follow(_rgb(frame), frame.time_s, predict, boxes)
    return tuple(TrackedFace(*face) for face in sorted(faces, key=lambda face: face[0]))


def _read_ahead(submitted: Iterable[_Pending], max_bytes: int) -> Iterator[_Pending]:
    """Pass the items on in order, but take some more before the first."""
    pending: deque[_Pending] = deque()
    held_bytes = 0
    try:
        for item in submitted:
            pending.append(item)
            held_bytes += item[0].image.nbytes
            while held_bytes > max_bytes or len(pending) > MAX_FRAMES_AHEAD:
                held_bytes -= pending[0][0].image.nbytes
                yield pending.popleft()
    except EmotionAIError:
        yield from pending
        raise
    yield from pending
