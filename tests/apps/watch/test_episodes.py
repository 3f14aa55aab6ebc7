"""Episodes of emotions, and gaps in which no face is seen."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.episodes import EMOTION, NO_FACE, EpisodeFinder, Event
from emotion_ai.apps.watch.frames import Frame
from emotion_ai.client.results import Box, Face

from support.watched_faces import IMAGE, results


def find(happiness: Iterable[Sequence[float | None]]) -> list[Event]:
    found: list[Event] = []
    finder = EpisodeFinder(found.append)
    for result in results(happiness):
        finder.add(result)
    finder.end()
    return found


def episodes(happiness: Iterable[Sequence[float | None]]) -> list[tuple[Any, ...]]:
    return [event[:6] for event in find(happiness)]


def test_an_episode_has_onset_apex_and_offset() -> None:
    found = find([[p] for p in (0.5, 0.7, 0.9, 0.8, 0.6, 0.4, 0.1, 0.1, 0.1, 0.1)])
    happy, sad = found
    assert happy[:6] == (EMOTION, 1, "happy", 0.0, 0.2, 0.5)
    assert happy[6:] == (5, 0.9, pytest.approx(0.7))
    # It lasts as long as the face is seen.
    assert sad[:6] == (EMOTION, 1, "sad", 0.5, 0.6, 0.9)


def test_an_episode_outlasts_a_probability_between_the_thresholds() -> None:
    def three(p: float, q: float) -> Face:
        probabilities = {"happy": p, "sad": q, "fear": 1 - p - q}
        return Face(Box(0, 0, 1, 1), "happy", probabilities, np.zeros((15, 2)), 1, 0.0)

    found: list[Event] = []
    finder = EpisodeFinder(found.append)
    shown = [(0.6, 0.1), (0.4, 0.3), (0.36, 0.3), (0.5, 0.1), (0.34, 0.33), (0.2, 0.3), (0.2, 0.3)]
    for k, (p, q) in enumerate(shown):
        tracked = (TrackedFace(4, three(p, q)),)
        finder.add(FrameResult(Frame(k, k / 10, IMAGE), tracked))
    finder.end()
    assert [event[:6] for event in found] == [(EMOTION, 4, "happy", 0.0, 0.0, 0.4)]


def test_short_episodes_and_gaps_are_left_out() -> None:
    assert episodes([[0.9], [0.9], [0.1], [0.1], [0.9], [0.9]]) == []
    assert episodes([[0.9]] * 3 + [[None]] * 2 + [[0.9]] * 3) == [
        (EMOTION, 1, "happy", 0.0, 0.0, 0.7)
    ]


def test_a_face_that_is_away_for_long_ends_its_episode_and_leaves_a_gap() -> None:
    assert episodes([[0.9]] * 5 + [[None]] * 15 + [[0.9]] * 5) == [
        (EMOTION, 1, "happy", 0.0, 0.0, 0.4),
        (NO_FACE, None, None, 0.5, None, 2.0),
        (EMOTION, 1, "happy", 2.0, 2.0, 2.4),
    ]
    # Another face is there meanwhile, so there is no gap.
    assert [event.track for event in find([[0.9, 0.1]] * 5 + [[None, 0.1]] * 15)] == [1, 2]


def test_a_gap_lasts_to_the_end_and_frames_that_are_not_analysed_do_not_count() -> None:
    found: list[Event] = []
    finder = EpisodeFinder(found.append)
    for k in range(20):
        finder.add(FrameResult(Frame(k, k / 10, IMAGE), None if k % 5 else ()))
    finder.end()
    assert found == [Event(NO_FACE, None, None, 0.0, None, 1.5, 4, None, None)]
