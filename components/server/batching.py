"""Batching across requests: TensorFlow Serving's rules, on threads that call the model.

Follows SharedBatchScheduler (tensorflow/core/kernels/batching_util/shared_batch_scheduler.h) and
BatchingSession (tensorflow_serving/batching/batching_session.cc): requests for the same version
and signature wait in batches; a batch is run when it is full, or when its first request has waited
for `timeout_s` and a thread is free. Knows no TensorFlow.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.server.errors import StatusError, invalid

_MAX_ROWS = 1 << 20
_MAX_THREADS = 1024
_LONGEST_MICROS = 60_000_000

Arrays = dict[str, NDArray]
Run = Callable[[Arrays], Arrays]


class BatchPolicy(NamedTuple):
    """How requests are put together; sizes are rows along the first dimension of the inputs."""

    max_batch_size: int
    timeout_s: float
    max_enqueued_batches: int
    threads: int
    # Batches are filled up to one of these sizes; () leaves them as they are.
    allowed_sizes: tuple[int, ...] = ()
    # The most rows that one request may have; None is no limit.
    largest_request: int | None = None
    # The most rows that the model is given at once; None is no limit.
    largest_run: int | None = None


def policy_of(parameters: Any, cores: int) -> BatchPolicy:
    """The policy of a `BatchingParameters` message, with TensorFlow Serving's defaults.

    Raises `InputError` for parameters that cannot be.
    """

    def value(name: str, default: int, least: int, most: int = _MAX_ROWS) -> int:
        number = getattr(parameters, name).value if parameters.HasField(name) else default
        if not least <= number <= most:
            raise InputError(f"{name} {number}: expected {least} to {most}")
        return int(number)

    most = value("max_batch_size", 1000, 1)
    splits = parameters.enable_large_batch_splitting.value
    allowed = tuple(parameters.allowed_batch_sizes)
    largest_run = value("max_execution_batch_size", most, 1) if splits else most
    if list(allowed) != sorted(set(allowed)):
        raise InputError("allowed_batch_sizes entries must be monotonically increasing")
    if allowed and allowed[-1] != largest_run:
        raise InputError(
            f"final entry in allowed_batch_sizes must equal max_batch_size, {largest_run}"
        )
    return BatchPolicy(
        max_batch_size=most,
        timeout_s=value("batch_timeout_micros", 0, 0, _LONGEST_MICROS) / 1e6,
        max_enqueued_batches=value("max_enqueued_batches", 10, 1),
        threads=value("num_batch_threads", cores, 1, _MAX_THREADS),
        allowed_sizes=allowed,
        largest_request=None if splits else most,
        largest_run=largest_run,
    )


@dataclass(eq=False)
class Task:
    """A request under way; `done(outputs or failure)` is called once, on a batch thread."""

    inputs: Arrays
    rows: int
    # As time.monotonic() tells; None is for ever.
    deadline: float | None
    outputs: Arrays | None = None
    failure: BaseException | None = None
    cancelled: bool = False


@dataclass(eq=False)
class _Batch:
    opened: float
    tasks: list[Task] = field(default_factory=list)
    rows: int = 0


@dataclass(eq=False)
class _Queue:
    run: Run
    batches: deque[_Batch] = field(default_factory=deque)


class Batcher:
    """Batch threads over queues, one for each version and signature; `deliver` takes what is done.

    `deliver(tasks)` is called on a batch thread with tasks that have `outputs` or `failure` set.
    """

    def __init__(self, policy: BatchPolicy, deliver: Callable[[list[Task]], None]) -> None:
        self._policy = policy
        self._deliver = deliver
        self._changed = threading.Condition()
        self._queues: OrderedDict[Hashable, _Queue] = OrderedDict()
        for number in range(policy.threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def submit(self, key: Hashable, run: Run, task: Task) -> None:
        """Put a request in the queue of its kind; the inputs of one kind have one inner shape.

        Raises `StatusError`: INVALID_ARGUMENT for a request larger than a batch may be, UNAVAILABLE
        at once where the queue is full.
        """
        policy = self._policy
        if policy.largest_request is not None and task.rows > policy.largest_request:
            raise invalid(
                f"Task size {task.rows} is larger than maximum input batch size "
                f"{policy.largest_request}"
            )
        with self._changed:
            queue = self._queues.get(key)
            if queue is None:
                queue = self._queues[key] = _Queue(run)
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
            self._changed.notify()

    def _work(self) -> None:
        while True:
            run, tasks = self._next()
            tasks = _still_wanted(tasks, self._deliver)
            if tasks:
                self._run(run, tasks)
                self._deliver(tasks)

    def _next(self) -> tuple[Run, list[Task]]:
        """Wait for a batch that may run; the queues take turns."""
        with self._changed:
            while True:
                now = time.monotonic()
                soonest: float | None = None
                for key, queue in self._queues.items():
                    first = queue.batches[0]
                    due = first.opened + self._policy.timeout_s
                    full = len(queue.batches) > 1 or first.rows >= self._policy.max_batch_size
                    if full or due <= now:
                        return queue.run, self._take(key, queue)
                    soonest = due if soonest is None else min(soonest, due)
                self._changed.wait(None if soonest is None else soonest - now)

    def _take(self, key: Hashable, queue: _Queue) -> list[Task]:
        tasks = queue.batches.popleft().tasks
        if queue.batches:
            self._queues.move_to_end(key)
            self._changed.notify()
        else:
            # The queue holds on to its model; a version that is dropped has to go.
            del self._queues[key]
        return tasks

    def _run(self, run: Run, tasks: list[Task]) -> None:
        try:
            if len(tasks) == 1:
                tasks[0].outputs = self._outputs(run, tasks[0].inputs, tasks[0].rows)
            else:
                rows = sum(task.rows for task in tasks)
                _split(self._outputs(run, _merged(tasks), rows), tasks)
        except Exception as error:
            if len(tasks) == 1:
                tasks[0].failure = error
                return
            # One request's mistake is not its neighbours'.
            half = len(tasks) // 2
            self._run(run, tasks[:half])
            self._run(run, tasks[half:])

    def _outputs(self, run: Run, inputs: Arrays, rows: int) -> Arrays:
        most = self._policy.largest_run or rows
        if rows > most:
            parts = [
                self._outputs(run, _cut(inputs, start, start + most), min(most, rows - start))
                for start in range(0, rows, most)
            ]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        size = next((size for size in self._policy.allowed_sizes if size >= rows), rows)
        if size == rows or rows == 0:
            return run(inputs)
        return _cut(run(_padded(inputs, size - rows)), 0, rows)


def _still_wanted(tasks: list[Task], deliver: Callable[[list[Task]], None]) -> list[Task]:
    now = time.monotonic()
    late = [task for task in tasks if task.deadline is not None and task.deadline <= now]
    for task in late:
        task.failure = StatusError(
            StatusCode.DEADLINE_EXCEEDED,
            "Run() timeout exceeded while waiting in batching queue",
        )
    if late:
        deliver(late)
    return [task for task in tasks if not task.cancelled and task.failure is None]


def _merged(tasks: list[Task]) -> Arrays:
    return {name: np.concatenate([task.inputs[name] for task in tasks]) for name in tasks[0].inputs}


def _padded(inputs: Arrays, more: int) -> Arrays:
    # A row that is there is surely a valid one.
    return {
        name: np.concatenate([array, np.repeat(array[:1], more, axis=0)])
        for name, array in inputs.items()
    }


def _cut(arrays: Arrays, start: int, end: int) -> Arrays:
    return {name: array[start:end] for name, array in arrays.items()}


def _split(outputs: Arrays, tasks: list[Task]) -> None:
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
        task.outputs = _cut(outputs, start, start + task.rows)
        start += task.rows
