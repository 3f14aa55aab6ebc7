"""Detect, predict and track the faces in a sequence of frames."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from emotion_ai.apps.watch.frames import Choice, Frame
from emotion_ai.client.predictor import Predictor
from emotion_ai.client.results import Face
from emotion_ai.client.tracking import Tracker
from emotion_ai.errors import EmotionAIError

# One detects faces while the other waits for the server.
_WORKERS = 2
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
_Pending = tuple[Frame, Future[list[Face]] | None]


def analyse_frames(
    frames: Iterable[Frame], predictor: Predictor, choose: Choice, max_bytes_ahead: int
) -> Iterator[FrameResult]:
    """Analyse the faces in the frames that are chosen, in order; pass on the others.

    Args:
        frames: The frames, in order of time.
        predictor: Detects and predicts the faces.
        choose: Chooses the frames to analyse.
        max_bytes_ahead: Bytes of frames to read ahead while the server works, which are at most
            `MAX_FRAMES_AHEAD` frames; 0 for a live source.

    Yields:
        A result for each frame.

    Raises:
        InputError: `frames` raised it, after the results of all frames before; or the server
            refused a request.
        Unavailable: Likewise, or the server did not answer.
    """
    tracker = Tracker()
    workers = ThreadPoolExecutor(_WORKERS)

    def submit(frame: Frame) -> _Pending:
        if not choose(frame.number, frame.time_s):
            return frame, None
        return frame, workers.submit(predictor.predict, frame.image, "bgr")

    try:
        submitted = map(submit, frames)
        for frame, future in _read_ahead(submitted, max_bytes_ahead):
            if future is None:
                yield FrameResult(frame, None)
                continue
            faces = future.result()
            tracks = tracker.update([face.box for face in faces], frame.time_s)
            tracked = map(TrackedFace, tracks, faces)
            yield FrameResult(frame, tuple(sorted(tracked, key=lambda item: item.track)))
    finally:
        # Requests that are still in flight end with the client's connection.
        workers.shutdown(wait=False, cancel_futures=True)


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
