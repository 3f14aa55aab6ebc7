"""Frames become looks: which faces are in them, what a model server says, and who is who."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from emotion_ai.apps.watch.frames import Frame
from emotion_ai.client.client import Client
from emotion_ai.client.results import Face
from emotion_ai.client.tracking import Tracker
from emotion_ai.errors import InputError, Unavailable

# One finds faces while the other waits for the server.
_WORKERS = 2
MAX_AHEAD = 16


class TrackedFace(NamedTuple):
    """A face, and the number of the track that it belongs to."""

    track: int
    face: Face


class FrameResult(NamedTuple):
    """A frame with its faces in order of track; `sightings` is None where it was passed by."""

    frame: Frame
    sightings: tuple[TrackedFace, ...] | None


_Asked = tuple[Frame, Future[list[Face]] | None]


def analyse_frames(
    frames: Iterable[Frame], client: Client, every: int, timeout: float, ahead_bytes: int
) -> Iterator[FrameResult]:
    """Analyse the faces in each `every`-th of the frames, in order; skip the others.

    While the server answers, frames of at most `ahead_bytes` are read and held, and no more than
    `MAX_AHEAD`. Raises what reading the frames does, after the looks at all frames before; and
    what `Client.predict` raises.
    """
    tracker = Tracker()
    workers = ThreadPoolExecutor(_WORKERS)

    def ask(number: int, frame: Frame) -> _Asked:
        if number % every:
            return frame, None
        return frame, workers.submit(client.predict, frame.image, "bgr", None, timeout)

    try:
        for frame, future in _held((ask(*pair) for pair in enumerate(frames)), ahead_bytes):
            if future is None:
                yield FrameResult(frame, None)
                continue
            faces = future.result()
            tracks = tracker.update([face.box for face in faces], frame.time_s)
            found = map(TrackedFace, tracks, faces)
            yield FrameResult(frame, tuple(sorted(found, key=lambda sighting: sighting.track)))
    finally:
        # Nobody waits for answers that nobody wants; they end with the client's connection.
        workers.shutdown(wait=False, cancel_futures=True)


def _held(asked: Iterable[_Asked], most_bytes: int) -> Iterator[_Asked]:
    """The same, later: so many are taken before the first is given."""
    waiting: deque[_Asked] = deque()
    held = 0
    try:
        for one in asked:
            waiting.append(one)
            held += one[0].image.nbytes
            while held > most_bytes or len(waiting) > MAX_AHEAD:
                held -= waiting[0][0].image.nbytes
                yield waiting.popleft()
    except (InputError, Unavailable):
        yield from waiting
        raise
    yield from waiting
