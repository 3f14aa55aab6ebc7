"""Batching, with a function as the model."""

import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.batching import Arrays, Batcher, Task
from emotion_ai.server.errors import StatusError

from support.server_calls import eventually

sizes = st.lists(st.integers(0, 9), min_size=1, max_size=12)


class _Model:
    """Doubles each row; records batch sizes, and waits until it is released."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []
        self.released = threading.Event()

    def __call__(self, inputs: Arrays) -> Arrays:
        self.batch_sizes.append(len(inputs["x"]))
        assert self.released.wait(30)
        if np.isnan(inputs["x"]).any():
            raise ValueError("not a number")
        return {"y": 2 * inputs["x"]}


def _task(rows: int, start: float = 0.0, deadline: float | None = None) -> Task:
    return Task({"x": start + np.arange(rows * 3, dtype=float).reshape(rows, 3)}, rows, deadline)


def _run(policy: BatchPolicy, tasks: list[Task]) -> list[int]:
    """Submit tasks while the model is busy and wait for them; returns the sizes of their runs."""
    done: list[Task] = []
    model, first = _Model(), _task(1)
    batcher = Batcher(policy, done.extend)
    batcher.submit("key", model, first)
    eventually(lambda: len(model.batch_sizes) == 1)
    for task in tasks:
        batcher.submit("key", model, task)
    model.released.set()
    eventually(lambda: len(done) == 1 + len(tasks))
    return model.batch_sizes[1:]


@settings(max_examples=30)
@given(sizes, st.integers(9, 20))
def test_batcher_returns_each_task_its_rows(rows: list[int], max_batch_size: int) -> None:
    tasks = [_task(count, start=100.0 * k) for k, count in enumerate(rows)]
    run_sizes = _run(BatchPolicy(max_batch_size, 0.0, 100, 1), tasks)
    for task in tasks:
        assert task.error is None
        np.testing.assert_array_equal(task.outputs["y"], 2 * task.inputs["x"])
    assert sum(run_sizes) == sum(rows)
    assert max(run_sizes) <= max_batch_size


@settings(max_examples=30)
@given(sizes)
def test_batcher_pads_to_allowed_sizes(rows: list[int]) -> None:
    tasks = [_task(count) for count in rows]
    policy = BatchPolicy(16, 0.0, 100, 1, allowed_batch_sizes=(4, 16), max_execution_batch_size=16)
    assert set(_run(policy, tasks)) <= {0, 4, 16}
    for task in tasks:
        np.testing.assert_array_equal(task.outputs["y"], 2 * task.inputs["x"])


def test_batcher_splits_large_requests() -> None:
    task = _task(50)
    assert _run(BatchPolicy(16, 0.0, 100, 1, max_execution_batch_size=16), [task]) == [
        16,
        16,
        16,
        2,
    ]
    np.testing.assert_array_equal(task.outputs["y"], 2 * task.inputs["x"])


@settings(max_examples=30)
@given(sizes, st.data())
def test_batcher_isolates_failures(rows: list[int], data: st.DataObject) -> None:
    tasks = [_task(1 + count) for count in rows]
    bad = data.draw(st.sets(st.sampled_from(range(len(tasks)))))
    for k in bad:
        tasks[k].inputs["x"][0] = np.nan
    _run(BatchPolicy(100, 0.0, 100, 1), tasks)
    assert {k for k, task in enumerate(tasks) if task.error is not None} == bad
    assert {k for k, task in enumerate(tasks) if task.outputs is None} == bad


def test_batcher_skips_expired_and_cancelled_tasks() -> None:
    expired, cancelled, valid = _task(1, deadline=time.monotonic()), _task(2), _task(3)
    cancelled.cancelled = True
    done: list[Any] = []
    model = _Model()
    model.released.set()
    batcher = Batcher(BatchPolicy(8, 0.2, 8, 1), done.extend)
    for task in (expired, cancelled, valid):
        batcher.submit("key", model, task)
    eventually(lambda: set(map(id, done)) == {id(expired), id(cancelled), id(valid)})
    assert model.batch_sizes == [3]
    assert isinstance(expired.error, StatusError)
    assert expired.error.code.name == "DEADLINE_EXCEEDED"
    assert cancelled.outputs is None


def test_batcher_alternates_keys_without_mixing_them() -> None:
    done: list[Task] = []
    models = {key: _Model() for key in "ab"}
    batcher = Batcher(BatchPolicy(2, 0.0, 100, 1), done.extend)
    batcher.submit("a", models["a"], _task(1))
    eventually(lambda: models["a"].batch_sizes == [1])
    for key in "aaaabb":
        batcher.submit(key, models[key], _task(2))
    for model in models.values():
        model.released.set()
    eventually(lambda: len(done) == 7)
    assert (models["a"].batch_sizes, models["b"].batch_sizes) == ([1, 2, 2, 2, 2], [2, 2])


def test_submit_rejects_full_queue_and_large_task() -> None:
    model = _Model()
    batcher = Batcher(BatchPolicy(4, 0.0, 2, 1, max_request_size=4), lambda tasks: None)
    batcher.submit("key", model, _task(1))
    eventually(lambda: model.batch_sizes == [1])
    for rows in (4, 3, 1):
        batcher.submit("key", model, _task(rows))
    with pytest.raises(StatusError, match="full; currently 2 batches enqueued"):
        batcher.submit("key", model, _task(1))
    with pytest.raises(StatusError, match="Task size 5 is larger than maximum input batch size 4"):
        batcher.submit("key", model, _task(5))
    batcher.submit("another key", model, _task(1))
    model.released.set()
