"""A server of a tiny release that prints metrics."""

import contextlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from emotion_ai.client.client import Client
from emotion_ai.registry.champion import write_champion
from emotion_ai.rollouts.cluster.observation import METRICS_PATH
from emotion_ai.server.process import server_process

from support.server_calls import eventually


class MonitoredServer(NamedTuple):
    """HOST:PORT of the gRPC port, and of the REST API."""

    address: str
    rest: str


def publish_champion(folder: Path) -> Path:
    """Make a registry in a folder, with one tiny release as its champion; returns its path."""
    from support.tiny_saved_model import publish_tiny_release

    registry = folder / "registry"
    registry.mkdir()
    publish_tiny_release(registry, folder, 1.0, 1.0)
    write_champion(str(registry), 1)
    return registry


@contextlib.contextmanager
def serving_with_metrics(
    registry: Path, folder: Path, *, monitored: bool = True
) -> Iterator[MonitoredServer]:
    """Serve a registry during a `with` block, with or without the page of metrics."""
    monitoring = folder / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    with socket.create_server(("127.0.0.1", 0)) as free:
        rest = free.getsockname()[1]
    flags = ["--registry", str(registry), "--port=0", f"--rest_api_port={rest}"]
    if monitored:
        flags.append(f"--monitoring_config_file={monitoring}")
    with server_process(flags, folder / "server.log") as (address, _), Client(address) as client:
        eventually(lambda: [s.state for s in client.version_statuses()] == ["AVAILABLE"])
        yield MonitoredServer(address, f"127.0.0.1:{rest}")


def metrics_page(server: MonitoredServer) -> str:
    """Return what the server prints of its metrics."""
    connection = http.client.HTTPConnection(server.rest, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", METRICS_PATH)
        return connection.getresponse().read().decode()
