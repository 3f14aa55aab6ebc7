"""Writers to a registry that die: a process that forks one for each line it reads.

Run as a script it imports what writers need once, so that a victim lives within milliseconds, and
then answers each JSON line with one. `Victims` is the handle that tests and benchmarks have of it.
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

LEASE_SECONDS = 0.6
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
_TESTS = Path(__file__).parent.parent


class Victims:
    """Asks for writers; each call returns when its writer has ended."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def push(self, registry: str, folder: Path, digest: str, **death: float) -> dict[str, Any]:
        """Publish a small release and keep three; dies at the n-th write (`at`), or `after` s.

        The answer has "killed", "version", "error" and "seconds".
        """
        return self._ask(what="push", registry=registry, folder=str(folder), digest=digest, **death)

    def roll_out(self, registry: str, version: int, server: str, **death: float) -> dict[str, Any]:
        """Make a release the champion, or die as `push` does."""
        return self._ask(
            what="roll_out", registry=registry, version=version, server=server, **death
        )

    def _ask(self, **request: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())


@contextlib.contextmanager
def running_victims() -> Iterator[Victims]:
    """Start the process that forks them."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Victims(process)
        assert process.stdin
        process.stdin.close()
        process.wait(timeout=60)


def _serve() -> None:
    import google.cloud.storage  # noqa: F401 - once, not in each fork

    import emotion_ai.registry.bucket_writer
    import emotion_ai.rollouts.targets  # noqa: F401
    from emotion_ai.registry import lease

    lease.LEASE_SECONDS = LEASE_SECONDS
    for line in sys.stdin:
        request = json.loads(line)
        started = time.monotonic()
        answers, answer = os.pipe()
        victim = os.fork()
        if not victim:
            _live(request, answer)
        os.close(answer)
        if "after" in request:
            time.sleep(request["after"])
            os.kill(victim, signal.SIGKILL)
        with open(answers) as pipe:
            said = json.loads(pipe.read() or "{}")
        _, status = os.waitpid(victim, 0)
        outcome = {"killed": os.WIFSIGNALED(status), "seconds": time.monotonic() - started}
        print(json.dumps({"version": None, "error": "", **said, **outcome}), flush=True)


def _live(request: dict[str, Any], answer: int) -> None:
    """The life of a victim: it never returns."""
    code = 1
    try:
        if "at" in request:
            _die_at(request["at"], request["registry"].startswith("gs://"))
        said = {"version": _work(request)}
        code = 0
    except Exception as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(BrokenPipeError):
        os.write(answer, json.dumps(said).encode())
    os._exit(code)


def _work(request: dict[str, Any]) -> int:
    if request["what"] == "roll_out":
        from emotion_ai.rollouts.targets import roll_out

        return roll_out(request["registry"], request["version"], request["server"])["version"]
    from emotion_ai.registry.publishing import publish, retain

    from support.minimal_release import small_release

    files, draft = small_release(Path(request["folder"]), request["digest"])
    version, _ = publish(request["registry"], files, draft)
    retain(request["registry"], 3)
    return version


def _die_at(number: int, remote: bool) -> None:
    """Kill this process when it is about to make its n-th change to the storage.

    In Cloud Storage each request that writes counts twice: before it is sent, and once it is
    answered.
    """
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if remote:
        _watch_requests(tick)
    else:
        _watch_files(tick)


def _watch_requests(tick: Callable[[], None]) -> None:
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def watched(self: HTTPAdapter, request: Any, *args: Any, **options: Any) -> Any:
        if request.method == "GET":
            return send(self, request, *args, **options)
        tick()
        response = send(self, request, *args, **options)
        tick()
        return response

    HTTPAdapter.send = watched


def _watch_files(tick: Callable[[], None]) -> None:
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        tick()
        fsync(descriptor)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in _CHANGES:
            tick()

    os.fsync = watched
    sys.addaudithook(hook)


if __name__ == "__main__":
    sys.path[:0] = [str(_TESTS)]
    _serve()
