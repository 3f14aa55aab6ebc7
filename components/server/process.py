"""The embedded model server as a child process, for steps and tests that need one for a while."""

import contextlib
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.server.server import DRAIN_SECONDS

START_SECONDS = 120.0
SERVING = re.compile(r"^serving \S+ on (\S+:[0-9]+) ", re.MULTILINE)
TAIL_LINES = 5


@contextlib.contextmanager
def running_server(registry: str, log_path: str | Path, port: int = 0) -> Iterator[str]:
    """Run a server over the registry for the length of the block; gives its "127.0.0.1:PORT".

    The address takes requests when the block begins; a version may still be loading. What the
    server prints goes to `log_path`. The process has ended when the block is left, however that
    happens. Raises `Unavailable` with the log's last lines where it does not start.
    """
    flags = ["--registry", registry, "--port", str(port)]
    with server_process(flags, log_path) as (address, _):
        yield address


@contextlib.contextmanager
def server_process(
    flags: Sequence[str], log_path: str | Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """As `running_server`, with any flags; gives the process besides."""
    command = [sys.executable, "-m", "emotion_ai.server", *flags]
    with storage.translate_errors(str(log_path)), Path(log_path).open("wb") as log:
        # On a full disk it fails here, and not as a server that ends without a word.
        log.write(f"{shlex.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield _address(process, Path(log_path)), process
    finally:
        _stop(process)


def _address(process: subprocess.Popen[bytes], log_path: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        text = log_path.read_text(errors="replace")
        if match := SERVING.search(text):
            return match[1]
        if ended:
            tail = " / ".join(text.splitlines()[-TAIL_LINES:])
            raise Unavailable(f"the model server ended with code {process.returncode}: {tail}")
        time.sleep(0.05)
    raise Unavailable(f"the model server took no requests within {START_SECONDS:.0f} s: {log_path}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=DRAIN_SECONDS + 10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
