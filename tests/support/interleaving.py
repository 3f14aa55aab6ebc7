"""Run rollouts act by act: each waits before every act that others may notice."""

import threading
from collections.abc import Callable
from typing import Any

from support.fake_api_server import Act
from support.rollout_world import World

# Acts between which others may act; those of other kinds belong to the one that follows.
_NOTICED = {
    "get deployments",
    "patch deployments",
    "get leases",
    "update leases",
    "create jobs",
    "list jobs",
    "delete jobs",
    "patch pods/status",
    "list endpointslices",
}
_WRITES = ("patch", "update", "create", "delete", "write")
_MAX_STEPS = 2000


class Killed(BaseException):
    """The process was killed: no code of it runs any more, except to unwind its stack."""


class Process:
    """A rollout in a thread.

    Attributes:
        name: Its name.
        waits_for: The act that it does next, such as "update leases"; "sleep" where it waits for
            something; "" when it has ended.
        result: What it returned.
        error: What it raised.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.waits_for = ""
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_killed = False
        self.is_interrupted = False
        self.go = threading.Semaphore(0)
        self.thread: threading.Thread | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return not self.waits_for


class Scheduler:
    """Lets one process at a time do one act; a test may act in between, as a person does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.processes: dict[str, Process] = {}
        self.trace: list[str] = []
        self._arrived = threading.Semaphore(0)
        world.server.before.append(self._before_act)
        world.clock.on_sleep = lambda seconds: self._wait("sleep")
        world.before_champion = lambda: self._wait("write models.config")

    def start(self, name: str, target: Callable[[], Any]) -> Process:
        """Start a process, up to its first act."""
        process = self.processes[name] = Process(name)

        def run() -> None:
            try:
                process.result = target()
            except BaseException as error:
                process.error = error
            process.waits_for = ""
            self._arrived.release()

        process.thread = threading.Thread(target=run, name=name, daemon=True)
        process.thread.start()
        self._arrived.acquire()
        return process

    def step(self, process: Process) -> None:
        """Let a process do its next act, up to the one after it."""
        assert not process.has_ended
        self.trace.append(f"{process.name}: {process.waits_for}")
        process.go.release()
        self._arrived.acquire()

    def until(self, process: Process, act: str, count: int = 1) -> None:
        """Let a process act until it is about to do such an act, for the `count`th time."""
        for _ in range(_MAX_STEPS):
            if process.waits_for == act:
                count -= 1
                if not count:
                    return
            self.step(process)
        raise AssertionError(f"{process.name} never does {act}")

    def until_write(self, process: Process, number: int) -> bool:
        """Let a process act until it is about to write for the `number`th time, from 0.

        Returns:
            Whether it does; otherwise it has ended.
        """
        for _ in range(_MAX_STEPS):
            if process.has_ended:
                return False
            if process.waits_for.startswith(_WRITES):
                if not number:
                    return True
                number -= 1
            self.step(process)
        raise AssertionError(f"{process.name} does not end: it waits to {process.waits_for}")

    def finish(self, process: Process) -> Process:
        """Let a process act until it ends."""
        for _ in range(_MAX_STEPS):
            if process.has_ended:
                return process
            self.step(process)
        raise AssertionError(f"{process.name} does not end: it waits to {process.waits_for}")

    def kill(self, process: Process) -> None:
        """End a process before its next act."""
        process.is_killed = True
        self.finish(process)

    def interrupt(self, process: Process) -> None:
        """Press Ctrl-C before its next act."""
        process.is_interrupted = True

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            self.kill(process)

    def _before_act(self, act: Act) -> None:
        if f"{act.verb} {act.kind}" in _NOTICED or self._is_killed():
            self._wait(f"{act.verb} {act.kind}")

    def _is_killed(self) -> bool:
        process = self.processes.get(threading.current_thread().name)
        return process is not None and process.is_killed

    def _wait(self, act: str) -> None:
        process = self.processes.get(threading.current_thread().name)
        if process is None:
            # A test acts by itself.
            return
        if not process.is_killed:
            process.waits_for = act
            self._arrived.release()
            process.go.acquire()
        if process.is_killed:
            raise Killed
        if process.is_interrupted:
            process.is_interrupted = False
            raise KeyboardInterrupt
