"""Runs the embedded model server as a child process, for steps and tests."""

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
from emotion_ai.storage.atomic_files import create_private

START_SECONDS = 120.0
SERVING_LINE = re.compile(r"^serving \S+ on (\S+:[0-9]+) ", re.MULTILINE)
TAIL_LINES = 5


@contextlib.contextmanager
def running_server(registry: str, log_path: str | Path, port: int = 0) -> Iterator[str]:
    """Run a server for a registry during a `with` block.

    Args:
        registry: The registry's path or URI.
        log_path: File for what the server prints.
        port: The gRPC port on 127.0.0.1; 0 is any free port.

    Yields:
        The server's address, "127.0.0.1:PORT". It accepts requests, and has loaded the champion
        if there is one and it loads. The process has ended when the block is left.

    Raises:
        Unavailable: The server does not start; the message has the log's last lines.

    Example:
        with running_server("./registry", "server.log") as address, Client(address) as client:
            print(client.model_status())
    """
    flags = ["--registry", registry, "--port", str(port)]
    with server_process(flags, log_path) as (address, _):
        yield address


@contextlib.contextmanager
def server_process(
    flags: Sequence[str], log_path: str | Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a server with any flags; yields its address and process. See `running_server`."""
    command = [sys.executable, "-m", "emotion_ai.server", *flags]
    with storage.translate_errors(str(log_path)), create_private(Path(log_path)) as log:
        # Fails on a full disk here; the server itself would end without a message.
        log.write(f"{shlex.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield _wait_for_address(process, Path(log_path)), process
    finally:
        _stop(process)


def _wait_for_address(process: subprocess.Popen[bytes], log_path: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        text = log_path.read_text(errors="replace")
        if match := SERVING_LINE.search(text):
            return match[1]
        if ended:
            tail = " / ".join(text.splitlines()[-TAIL_LINES:])
            raise Unavailable(f"the model server ended with code {process.returncode}: {tail}")
        time.sleep(0.05)
    raise Unavailable(
        f"the model server accepted no requests within {START_SECONDS:.0f} s: {log_path}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=DRAIN_SECONDS + 10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
