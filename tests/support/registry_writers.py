"""Registry writers that get killed: a process that forks a writer for each request.

Run as a script, it imports what writers need only once, so that a forked writer starts within
milliseconds. It reads a request a line as JSON from standard input, and prints one outcome each.
Tests and benchmarks use it through `RegistryWriters`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LEASE_SECONDS = 1.0
_CHANGE_EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
_TESTS = Path(__file__).parent.parent


class RegistryWriters:
    """Runs writers, one at a time; each call returns when its writer has ended."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def push(self, registry: str, folder: Path, digest: str, **kill: float) -> dict[str, Any]:
        """Publish a minimal release and keep three.

        With `kill_at_write=n` the writer kills itself at its n-th write, with `kill_after=s` it is
        killed after s seconds. The outcome has "killed", "version", "error" and "seconds".
        """
        return self._run(
            action="push", registry=registry, folder=str(folder), digest=digest, **kill
        )

    def roll_out(self, registry: str, version: int, server: str, **kill: float) -> dict[str, Any]:
        """Make a release the champion; killed as `push` is."""
        return self._run(
            action="roll_out", registry=registry, version=version, server=server, **kill
        )

    def fetch(self, registry: str, version: int, into: Path, **kill: float) -> dict[str, Any]:
        """Fetch a release into a folder; killed as `push` is, at writes to that folder."""
        return self._run(action="fetch", registry=registry, version=version, into=str(into), **kill)

    def _run(self, **request: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())


@contextlib.contextmanager
def running_registry_writers() -> Iterator[RegistryWriters]:
    """Start the process that forks the writers."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield RegistryWriters(process)
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=60)


def _serve() -> None:
    import google.cloud.storage  # noqa: F401 - once, not in each fork

    import emotion_ai.registry.bucket_writer
    import emotion_ai.registry.fetching
    import emotion_ai.rollouts.targets  # noqa: F401
    from emotion_ai.registry import lease

    lease.LEASE_SECONDS = LEASE_SECONDS
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        read_end, write_end = os.pipe()
        writer = os.fork()
        if not writer:
            _run_writer(request, write_end)
        os.close(write_end)
        if "kill_after" in request:
            time.sleep(request["kill_after"])
            os.kill(writer, signal.SIGKILL)
        with os.fdopen(read_end) as pipe:
            result = json.loads(pipe.read() or "{}")
        _, status = os.waitpid(writer, 0)
        outcome = {"killed": os.WIFSIGNALED(status), "seconds": time.monotonic() - started}
        print(json.dumps({"version": None, "error": "", **result, **outcome}), flush=True)


def _run_writer(request: dict[str, Any], write_end: int) -> None:
    """Run a forked writer to its end, without returning."""
    code = 1
    try:
        if "kill_at_write" in request:
            written = request.get("into", request["registry"])
            _kill_at_write(request["kill_at_write"], written.startswith("gs://"))
        result = {"version": _write(request)}
        code = 0
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(BrokenPipeError):
        os.write(write_end, json.dumps(result).encode())
    os._exit(code)


def _write(request: dict[str, Any]) -> int:
    if request["action"] == "roll_out":
        from emotion_ai.rollouts.targets import roll_out

        return roll_out(request["registry"], request["version"], request["server"])["version"]
    if request["action"] == "fetch":
        from emotion_ai.registry.fetching import fetch

        return fetch(request["registry"], str(request["version"]), Path(request["into"])).release
    from emotion_ai.registry.publishing import publish, retain

    from support.minimal_release import write_minimal_release

    files, draft = write_minimal_release(Path(request["folder"]), request["digest"])
    version, _ = publish(request["registry"], files, draft)
    retain(request["registry"], 3)
    return version


def _kill_at_write(number: int, remote: bool) -> None:
    """Make this process kill itself just before its n-th write to the storage.

    In Cloud Storage each request that writes counts twice: before it is sent, and when its
    response has arrived.
    """
    count = 0

    def on_write() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if remote:
        _hook_requests(on_write)
    else:
        _hook_files(on_write)


def _hook_requests(on_write: Callable[[], None]) -> None:
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def send_and_count(self: HTTPAdapter, request: Any, *args: Any, **options: Any) -> Any:
        if request.method == "GET":
            return send(self, request, *args, **options)
        on_write()
        response = send(self, request, *args, **options)
        on_write()
        return response

    HTTPAdapter.send = send_and_count


def _hook_files(on_write: Callable[[], None]) -> None:
    fsync = os.fsync

    def fsync_and_count(descriptor: int) -> None:
        on_write()
        fsync(descriptor)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in _CHANGE_EVENTS:
            on_write()

    os.fsync = fsync_and_count
    sys.addaudithook(hook)


if __name__ == "__main__":
    sys.path[:0] = [str(_TESTS)]
    _serve()
