"""Faces keep their numbers while they move, cross, disappear and return."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from emotion_ai.client.assignment import assign
from emotion_ai.client.results import Box
from emotion_ai.client.tracking import Tracker

_TABLES = st.tuples(st.integers(0, 7), st.integers(0, 7)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(-9, 9), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    ).map(lambda rows: np.array(rows, float).reshape(shape))
)


@settings(max_examples=300)
@given(_TABLES)
def test_assign_finds_the_least_cost(costs: np.ndarray) -> None:
    pairs = assign(costs)
    rows, columns = linear_sum_assignment(costs)
    assert len(pairs) == min(costs.shape)
    for side in (0, 1):
        assert len({pair[side] for pair in pairs}) == len(pairs)
    assert sum(costs[pair] for pair in pairs) == costs[rows, columns].sum()


def face(x: float, y: float = 100, side: float = 80) -> Box:
    return Box(x - side / 2, y - side / 2, side, side * 1.2, 0.9)


def test_tracker_keeps_numbers_in_any_order_of_boxes() -> None:
    tracker = Tracker()
    assert tracker.update([face(100), face(300)], 0.0) == [1, 2]
    assert tracker.update([face(305), face(95)], 0.2) == [2, 1]
    assert tracker.update([face(90), face(310), face(600)], 0.4) == [1, 2, 3]


def test_tracker_matches_all_boxes_together() -> None:
    # One by one, the second face would lose its box to the first.
    tracker = Tracker()
    assert tracker.update([face(100), face(200)], 0.0) == [1, 2]
    assert tracker.update([face(160), face(260)], 0.1) == [1, 2]


def test_tracker_keeps_numbers_of_crossing_faces() -> None:
    tracker = Tracker()
    for step in range(31):
        left, right = face(100 + 10 * step, 100), face(400 - 10 * step, 125)
        assert tracker.update([left, right], step / 10) == [1, 2]


def test_tracker_keeps_a_number_over_a_short_absence() -> None:
    tracker = Tracker(keep_s=1.0)
    for step in range(5):
        tracker.update([face(100 + 50 * step)], step / 5)
    for step in range(5, 8):
        assert tracker.update([], step / 5) == []
    assert tracker.update([face(100 + 50 * 8)], 8 / 5) == [1]


def test_tracker_gives_a_new_number_after_a_long_absence() -> None:
    tracker = Tracker(keep_s=1.0)
    tracker.update([face(100)], 0.0)
    for time_s in (0.5, 1.0, 1.5):
        tracker.update([], time_s)
    assert tracker.update([face(100)], 2.0) == [2]


def test_tracker_keeps_a_number_between_updates_minutes_apart() -> None:
    tracker = Tracker(keep_s=1.0)
    assert [tracker.update([face(100)], 60.0 * minute) for minute in range(3)] == [[1]] * 3


@pytest.mark.parametrize(
    "other", [face(400), face(100, side=200)], ids=["elsewhere", "much larger"]
)
def test_tracker_gives_a_new_number_to_another_place_or_size(other: Box) -> None:
    tracker = Tracker()
    tracker.update([face(100)], 0.0)
    assert tracker.update([other], 0.1) == [2]


_BOXES = st.lists(st.builds(Box, *[st.floats(-100, 500)] * 2, *[st.floats(0, 300)] * 2), max_size=6)


@settings(max_examples=60)
@given(st.lists(st.tuples(_BOXES, st.floats(0, 2)), max_size=8))
def test_tracker_never_repeats_a_number_in_an_update(
    updates: list[tuple[list[Box], float]],
) -> None:
    tracker, time_s = Tracker(), 0.0
    for boxes, passed in updates:
        time_s += passed
        numbers = tracker.update(boxes, time_s)
        assert len(set(numbers)) == len(boxes)
        assert all(number > 0 for number in numbers)
