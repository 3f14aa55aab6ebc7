"""Batching across requests: TensorFlow Serving's rules, on threads that call the model.

Follows SharedBatchScheduler (tensorflow/core/kernels/batching_util/shared_batch_scheduler.h) and
BatchingSession (tensorflow_serving/batching/batching_session.cc): requests for the same version
and signature wait in batches; a batch is run when it is full, or when its first request has waited
for `timeout_s` and a thread is free. Does not import TensorFlow.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.errors import StatusError, invalid_argument

_log = logging.getLogger(__name__)
Arrays = dict[str, NDArray]
RunModel = Callable[[Arrays], Arrays]


def check_rows(rows: int, max_rows: int) -> None:
    """Raise INVALID_ARGUMENT for a request of more rows than one may have."""
    if rows > max_rows:
        raise invalid_argument(
            f"Task size {rows} is larger than maximum input batch size {max_rows}"
        )


@dataclass(eq=False)
class Task:
    """A request in a queue. The batcher sets `outputs` or `error` when it is done.

    Attributes:
        inputs: Arrays by input name, batch first.
        rows: The size of their first dimension.
        deadline: The `time.monotonic()` after which the task is not run; None is no deadline.
        outputs: Arrays by output name, batch first.
        error: Why there are no outputs.
        cancelled: Set by the caller: the task is not run.
    """

    inputs: Arrays
    rows: int
    deadline: float | None
    outputs: Arrays | None = None
    error: BaseException | None = None
    cancelled: bool = False


@dataclass(eq=False)
class _Batch:
    created: float
    tasks: list[Task] = field(default_factory=list)
    rows: int = 0


@dataclass(eq=False)
class _Queue:
    run_model: RunModel
    batches: deque[_Batch] = field(default_factory=deque)


class Batcher:
    """Runs tasks in batches on its own threads, with one queue for each key.

    Args:
        policy: How large batches get, how long they wait, how many threads run them.
        on_done: Called on a batch thread with the tasks that are over: they have `outputs` or
            `error`, or were cancelled.
    """

    def __init__(self, policy: BatchPolicy, on_done: Callable[[list[Task]], None]) -> None:
        self._policy = policy
        self._on_done = on_done
        self._condition = threading.Condition()
        self._queues: OrderedDict[Hashable, _Queue] = OrderedDict()
        for number in range(policy.num_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def submit(self, key: Hashable, run_model: RunModel, task: Task) -> None:
        """Put a task into the queue of its key.

        Args:
            key: Tasks with the same key share batches, so their inputs need one inner shape.
            run_model: Runs a batch; the same for every task of a key.
            task: The request.

        Raises:
            StatusError: INVALID_ARGUMENT for a task larger than a request may be; UNAVAILABLE for
                a full queue.
        """
        policy = self._policy
        check_rows(task.rows, policy.max_request_size)
        with self._condition:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(run_model)
            batches = queue.batches
            if not batches or batches[-1].rows + task.rows > policy.max_batch_size:
                if len(batches) >= policy.max_enqueued_batches:
                    raise StatusError(
                        StatusCode.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full; "
                        f"currently {len(batches)} batches enqueued and max_enqueued_batches is "
                        f"{policy.max_enqueued_batches}",
                    )
                batches.append(_Batch(time.monotonic()))
            batches[-1].tasks.append(task)
            batches[-1].rows += task.rows
            self._condition.notify()

    def _work(self) -> None:
        while True:
            run_model, tasks = self._wait_for_batch()
            try:
                tasks = self._select_wanted(tasks)
                if tasks:
                    self._run_tasks(run_model, tasks)
                    self._on_done(tasks)
            except Exception:
                # The last resort, for defects: other requests need this thread.
                _log.exception("a batch failed")

    def _wait_for_batch(self) -> tuple[RunModel, list[Task]]:
        """Wait for a batch that may run; the queues take turns."""
        with self._condition:
            while True:
                now = time.monotonic()
                next_due: float | None = None
                for key, queue in self._queues.items():
                    first = queue.batches[0]
                    due = first.created + self._policy.timeout_s
                    full = len(queue.batches) > 1 or first.rows >= self._policy.max_batch_size
                    if full or due <= now:
                        return queue.run_model, self._pop_batch(key, queue)
                    next_due = due if next_due is None else min(next_due, due)
                self._condition.wait(None if next_due is None else next_due - now)

    def _pop_batch(self, key: Hashable, queue: _Queue) -> list[Task]:
        tasks = queue.batches.popleft().tasks
        if queue.batches:
            self._queues.move_to_end(key)
            self._condition.notify()
        else:
            # The queue refers to its model; keeping it would keep an unloaded version in memory.
            del self._queues[key]
        return tasks

    def _select_wanted(self, tasks: list[Task]) -> list[Task]:
        """Report the tasks past their deadline or cancelled, and return those still to be run."""
        now = time.monotonic()
        wanted: list[Task] = []
        over: list[Task] = []
        for task in tasks:
            if task.deadline is not None and task.deadline <= now:
                task.error = StatusError(
                    StatusCode.DEADLINE_EXCEEDED,
                    "Run() timeout exceeded while waiting in batching queue",
                )
            (over if task.cancelled or task.error else wanted).append(task)
        if over:
            self._on_done(over)
        return wanted

    def _run_tasks(self, run_model: RunModel, tasks: list[Task]) -> None:
        try:
            if len(tasks) == 1:
                tasks[0].outputs = self._run_rows(run_model, tasks[0].inputs, tasks[0].rows)
            else:
                rows = sum(task.rows for task in tasks)
                outputs = self._run_rows(run_model, _concatenate_inputs(tasks), rows)
                _split_outputs(outputs, tasks)
        except Exception as error:
            if len(tasks) == 1:
                tasks[0].error = error
                return
            # A bad request must not fail the others in its batch: bisect to find it.
            middle = len(tasks) // 2
            self._run_tasks(run_model, tasks[:middle])
            self._run_tasks(run_model, tasks[middle:])

    def _run_rows(self, run_model: RunModel, inputs: Arrays, rows: int) -> Arrays:
        """Run one batch, in several runs where it is too large, padded to an allowed size."""
        step = self._policy.max_execution_batch_size or rows
        if rows > step:
            parts = [
                self._run_rows(
                    run_model, _slice(inputs, start, start + step), min(step, rows - start)
                )
                for start in range(0, rows, step)
            ]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        size = next((size for size in self._policy.allowed_batch_sizes if size >= rows), rows)
        if size == rows or rows == 0:
            return run_model(inputs)
        return _slice(run_model(_pad(inputs, size - rows)), 0, rows)


def _concatenate_inputs(tasks: list[Task]) -> Arrays:
    return {name: np.concatenate([task.inputs[name] for task in tasks]) for name in tasks[0].inputs}


def _pad(inputs: Arrays, rows: int) -> Arrays:
    # Repeat the first row: zeros might be invalid for the model.
    return {
        name: np.concatenate([array, np.repeat(array[:1], rows, axis=0)])
        for name, array in inputs.items()
    }


def _slice(arrays: Arrays, start: int, end: int) -> Arrays:
    return {name: array[start:end] for name, array in arrays.items()}


def _split_outputs(outputs: Arrays, tasks: list[Task]) -> None:
    total = sum(task.rows for task in tasks)
    for array in outputs.values():
        if array.ndim == 0:
            raise StatusError(
                StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions"
            )
        if len(array) != total:
            raise StatusError(
                StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                "dimension sizes of the input tensors",
            )
    start = 0
    for task in tasks:
        task.outputs = _slice(outputs, start, start + task.rows)
        start += task.rows
