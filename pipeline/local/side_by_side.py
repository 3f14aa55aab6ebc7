"""Runs steps of a local run side by side, as a cluster does: KFP's runner takes one at a time.

KFP's orchestrator calls `execute_task` for one task after the other. The one here also starts the
tasks of the same DAG that wait for nothing, and has their results when KFP comes to them.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

from kfp.local.io import IOStore
from kfp.local.orchestrator import enhanced_dag_orchestrator
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentSpec, PipelineTaskSpec

from emotion_ai.processors import available_cores

# What was told to end has ended by then.
_PATIENCE_SECONDS = 10.0


@contextlib.contextmanager
def run_side_by_side() -> Iterator[None]:
    """Let KFP's local runner run as many steps at a time as there are cores, while the block runs.

    The block ends when they have ended; what stops them if it fails is the caller's, by then. One
    that started a step while the others were stopped is waited for no longer than ten seconds.
    """
    execute = enhanced_dag_orchestrator.execute_task
    side_by_side = _SideBySide(execute, available_cores())
    enhanced_dag_orchestrator.execute_task = side_by_side
    try:
        yield
    except BaseException:
        side_by_side.join(_PATIENCE_SECONDS)
        raise
    else:
        side_by_side.join()
    finally:
        enhanced_dag_orchestrator.execute_task = execute


class _SideBySide:
    """KFP's `execute_task`, which starts other tasks ahead of their turn.

    Args:
        execute: KFP's own.
        limit: How many tasks may run at a time.
    """

    def __init__(self, execute: Callable[..., Any], limit: int) -> None:
        self._execute = execute
        self._limit = limit
        # By the store of their DAG's values, which a DAG that runs has to itself, and their name.
        self._ahead: dict[tuple[int, str], Future[Any]] = {}
        self._threads: list[threading.Thread] = []

    def __call__(self, **call: Any) -> Any:
        store, components = call["io_store"], call["components"]
        ahead = self._ahead.get((id(store), call["task_name"]))
        if ahead is not None:
            return ahead.result()
        for name, task in _siblings(call["task_name"], components).items():
            if len(self._running()) + 1 >= self._limit:
                break
            if (id(store), name) not in self._ahead and _is_ready(task, name, components, store):
                self._start(call | {"task_name": name, "task_spec": task})
        return self._execute(**call)

    def join(self, timeout: float | None = None) -> None:
        wait(self._ahead.values(), timeout)

    def _running(self) -> list[threading.Thread]:
        return [thread for thread in self._threads if thread.is_alive()]

    def _start(self, call: dict[str, Any]) -> None:
        future: Future[Any] = Future()
        self._ahead[id(call["io_store"]), call["task_name"]] = future

        def run() -> None:
            try:
                future.set_result(self._execute(**call))
            # The caller's to handle, when KFP comes to this task.
            except BaseException as error:
                future.set_exception(error)

        thread = threading.Thread(target=run, name=call["task_name"], daemon=True)
        self._threads.append(thread)
        thread.start()


def _siblings(name: str, components: dict[str, ComponentSpec]) -> dict[str, PipelineTaskSpec]:
    """Return the other tasks of the DAG that has this one; none of the pipeline's root."""
    for component in components.values():
        if name in component.dag.tasks:
            return {other: task for other, task in component.dag.tasks.items() if other != name}
    return {}


def _is_ready(
    task: PipelineTaskSpec, name: str, components: dict[str, ComponentSpec], store: IOStore
) -> bool:
    """Whether a task is a plain step that has not run and whose predecessors have succeeded."""
    component = components[task.component_ref.name]
    is_plain = (
        component.WhichOneof("implementation") == "executor_label"
        and not task.WhichOneof("iterator")
        # A condition, or a step that runs whatever became of the others.
        and not task.HasField("trigger_policy")
    )
    states = {_state(store, dependency) for dependency in task.dependent_tasks}
    return is_plain and not _state(store, name) and states <= {"SUCCEEDED"}


def _state(store: IOStore, name: str) -> str:
    try:
        return store.get_task_status(name)
    except ValueError:
        return ""
