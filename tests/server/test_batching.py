"""Requests put together and taken apart again, with a model that is a function."""

import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_ai.server.batching import Arrays, Batcher, BatchPolicy, Task
from emotion_ai.server.errors import StatusError

from support.server_calls import eventually

sizes = st.lists(st.integers(0, 9), min_size=1, max_size=12)


class _Model:
    """Doubles each row; keeps the sizes it was given, and waits while it is held."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.free = threading.Event()

    def __call__(self, inputs: Arrays) -> Arrays:
        self.seen.append(len(inputs["x"]))
        assert self.free.wait(30)
        if np.isnan(inputs["x"]).any():
            raise ValueError("not a number")
        return {"y": 2 * inputs["x"]}


def _task(rows: int, start: float = 0.0, deadline: float | None = None) -> Task:
    return Task({"x": start + np.arange(rows * 3, dtype=float).reshape(rows, 3)}, rows, deadline)


def _answered(policy: BatchPolicy, tasks: list[Task]) -> list[int]:
    """Submit the tasks while the model is busy, wait for them; returns the sizes of the runs."""
    done: list[Task] = []
    model, first = _Model(), _task(1)
    batcher = Batcher(policy, done.extend)
    batcher.submit("kind", model, first)
    eventually(lambda: len(model.seen) == 1)
    for task in tasks:
        batcher.submit("kind", model, task)
    model.free.set()
    eventually(lambda: len(done) == 1 + len(tasks))
    return model.seen[1:]


@settings(max_examples=30)
@given(sizes, st.integers(9, 20))
def test_each_request_gets_its_own_rows(rows: list[int], most: int) -> None:
    tasks = [_task(count, start=100.0 * k) for k, count in enumerate(rows)]
    seen = _answered(BatchPolicy(most, 0.0, 100, 1), tasks)
    for task in tasks:
        assert task.failure is None
        np.testing.assert_array_equal(task.outputs["y"], 2 * task.inputs["x"])
    assert sum(seen) == sum(rows)
    assert max(seen) <= most


@settings(max_examples=30)
@given(sizes)
def test_a_batch_is_filled_up_to_an_allowed_size(rows: list[int]) -> None:
    tasks = [_task(count) for count in rows]
    policy = BatchPolicy(16, 0.0, 100, 1, allowed_sizes=(4, 16), largest_run=16)
    assert set(_answered(policy, tasks)) <= {0, 4, 16}
    for task in tasks:
        np.testing.assert_array_equal(task.outputs["y"], 2 * task.inputs["x"])


def test_a_large_request_is_split_where_that_is_allowed() -> None:
    task = _task(50)
    assert _answered(BatchPolicy(16, 0.0, 100, 1, largest_run=16), [task]) == [16, 16, 16, 2]
    np.testing.assert_array_equal(task.outputs["y"], 2 * task.inputs["x"])


@settings(max_examples=30)
@given(sizes, st.data())
def test_a_failure_is_its_requests_alone(rows: list[int], data: st.DataObject) -> None:
    tasks = [_task(1 + count) for count in rows]
    bad = data.draw(st.sets(st.sampled_from(range(len(tasks)))))
    for k in bad:
        tasks[k].inputs["x"][0] = np.nan
    _answered(BatchPolicy(100, 0.0, 100, 1), tasks)
    assert {k for k, task in enumerate(tasks) if task.failure is not None} == bad
    assert {k for k, task in enumerate(tasks) if task.outputs is None} == bad


def test_who_is_late_or_has_gone_costs_no_run() -> None:
    late, gone, wanted = _task(1, deadline=time.monotonic()), _task(2), _task(3)
    gone.cancelled = True
    done: list[Any] = []
    model = _Model()
    model.free.set()
    batcher = Batcher(BatchPolicy(8, 0.2, 8, 1), done.extend)
    for task in (late, gone, wanted):
        batcher.submit("kind", model, task)
    eventually(lambda: set(map(id, done)) == {id(late), id(wanted)})
    assert model.seen == [3]
    assert isinstance(late.failure, StatusError)
    assert late.failure.code.name == "DEADLINE_EXCEEDED"


def test_kinds_take_turns_and_are_never_mixed() -> None:
    done: list[Task] = []
    models = {kind: _Model() for kind in "ab"}
    batcher = Batcher(BatchPolicy(2, 0.0, 100, 1), done.extend)
    batcher.submit("a", models["a"], _task(1))
    eventually(lambda: models["a"].seen == [1])
    for kind in "aaaabb":
        batcher.submit(kind, models[kind], _task(2))
    for model in models.values():
        model.free.set()
    eventually(lambda: len(done) == 7)
    assert (models["a"].seen, models["b"].seen) == ([1, 2, 2, 2, 2], [2, 2])


def test_a_queue_is_full_at_its_limit() -> None:
    model = _Model()
    batcher = Batcher(BatchPolicy(4, 0.0, 2, 1, largest_request=4), lambda tasks: None)
    batcher.submit("kind", model, _task(1))
    eventually(lambda: model.seen == [1])
    for rows in (4, 3, 1):
        batcher.submit("kind", model, _task(rows))
    with pytest.raises(StatusError, match="full; currently 2 batches enqueued"):
        batcher.submit("kind", model, _task(1))
    with pytest.raises(StatusError, match="Task size 5 is larger than maximum input batch size 4"):
        batcher.submit("kind", model, _task(5))
    batcher.submit("another kind", model, _task(1))
    model.free.set()
