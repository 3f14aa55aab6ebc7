"""Hide faces in a video: also where one is missed for a moment, and just before it is found.

A face is found late when it turns to the camera or comes in from the side. So frames wait a while
until it is known which faces are found after them. A face's blocks keep the colours of its first
look: from blocks that change with the frames, more of a face could be computed than from one.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.apps.watch.analysis import FrameResult
from emotion_ai.client.blurring import blocks_of, cover, grow
from emotion_ai.client.results import Box

# Seconds for which a face is hidden before it is found, and after it was found last. For the first,
# frames wait: in 4K a dozen.
_BEFORE_S, _AFTER_S = 0.4, 2.0
_MAX_BYTES_WAITING = 256 * 1024 * 1024
# How far a face may have gone that is not found: sides a second, and at most.
_SIDES_PER_S, _MAX_SIDES = 1.0, 0.75

OnResult = Callable[[FrameResult], None]


class _Look(NamedTuple):
    """Where a face was, and when."""

    box: Box
    time_s: float


class FaceHider:
    """Passes results on a while later, with blocks in the place of faces in their frames.

    Args:
        receivers: Take each result, in order.
    """

    def __init__(self, receivers: Sequence[OnResult]) -> None:
        self._receivers = receivers
        self._waiting: deque[FrameResult] = deque()
        # By track: what is put in its place, and its last look in the frames that were passed on.
        self._blocks: dict[int, NDArray[np.uint8]] = {}
        self._last: dict[int, _Look] = {}

    def add(self, result: FrameResult) -> None:
        """Take a result; pass on those that have waited long enough."""
        image = result.frame.image
        for track, face in result.faces or ():
            if track not in self._blocks:
                self._blocks[track] = blocks_of(image, face.box)
        self._waiting.append(result)
        most = _MAX_BYTES_WAITING // max(1, image.nbytes)
        while self._waiting[0].frame.time_s < result.frame.time_s - _BEFORE_S or (
            len(self._waiting) > max(1, most)
        ):
            self._pass_on(self._waiting.popleft())

    def end(self) -> None:
        """Pass on the rest."""
        while self._waiting:
            self._pass_on(self._waiting.popleft())

    def _pass_on(self, result: FrameResult) -> None:
        time_s = result.frame.time_s
        here = {track: _Look(face.box, time_s) for track, face in result.faces or ()}
        self._last |= here
        coming = dict(self._next_looks(set(here)))
        for track in [k for k, look in self._last.items() if time_s - look.time_s > _AFTER_S]:
            del self._last[track]
            if track not in coming:
                del self._blocks[track]
        looks = [*self._last.items(), *coming.items()]
        image = result.frame.image.copy()
        for track, look in looks:
            away = min(_MAX_SIDES, _SIDES_PER_S * abs(time_s - look.time_s))
            cover(image, grow(look.box, away), self._blocks[track])
        for receive in self._receivers:
            receive(result._replace(frame=result.frame._replace(image=image)))

    def _next_looks(self, present: set[int]) -> Iterator[tuple[int, _Look]]:
        """Yield the first look of each face in the waiting frames, but for those present."""
        found = set(present)
        for result in self._waiting:
            for track, face in result.faces or ():
                if track not in found:
                    found.add(track)
                    yield track, _Look(face.box, result.frame.time_s)


@contextlib.contextmanager
def open_hider(receivers: Sequence[OnResult]) -> Iterator[OnResult]:
    """Yield what takes results for the receivers; all are passed on when the block succeeds."""
    hider = FaceHider(receivers)
    yield hider.add
    hider.end()
