"""The manifests' own arguments: they fetch a release and start the embedded server, for real."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from emotion_ai.client.client import Client
from emotion_ai.server.process import server_process

from support.manifests import Object, built, one
from support.server_calls import eventually, get_health

NAME = "overlays/local"
SERVING = 1


def pod() -> Object:
    return one(built(NAME), "Deployment")["spec"]["template"]["spec"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Pod(NamedTuple):
    """The two processes of a pod, one after the other, in a folder."""

    folder: Path
    address: str
    http: str


def in_folder(folder: Path, argument: str) -> str:
    """An argument whose path, if it is in one of the server's volumes, is below a folder."""
    flag, equals, value = argument.rpartition("=")
    mounts = [mount["mountPath"] for mount in pod()["containers"][0]["volumeMounts"]]
    if any(f"{value}/".startswith(f"{mount}/") for mount in mounts):
        return f"{flag}{equals}{folder}{value}"
    return argument


def write_settings(folder: Path) -> None:
    """Write the ConfigMap's files where the pod mounts them."""
    (volume,) = [v for v in pod()["volumes"] if v["name"] == "settings"]
    data = one(built(NAME), "ConfigMap", volume["configMap"]["name"])["data"]
    (folder / "etc/emotion-ai").mkdir(parents=True)
    for name, text in data.items():
        (folder / "etc/emotion-ai" / name).write_text(text)


def fetch(folder: Path, registry: Path, release: int) -> None:
    """Run the init container's command."""
    (init,) = pod()["initContainers"]
    interpreter, *arguments = init["args"]
    assert interpreter == "python3"
    variables = {v["name"]: v["value"] for v in init["env"]}
    assert set(variables) == {"REGISTRY"}
    (folder / "models").mkdir()
    fetched = subprocess.run(
        [sys.executable, *(in_folder(folder, argument) for argument in arguments)],
        env={**os.environ, "REGISTRY": str(registry), "RELEASE": str(release)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert fetched.returncode == 0, fetched.stderr


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod's processes, with a release of a tiny model."""
    from support.tiny_saved_model import publish_tiny_release

    folder = tmp_path_factory.mktemp("pod")
    registry = folder / "registry"
    registry.mkdir()
    for shift in (1.0, 2.0):
        publish_tiny_release(registry, folder, shift, shift)
    write_settings(folder)
    fetch(folder, registry, release=1)
    http = free_port()
    arguments = [in_folder(folder, argument) for argument in pod()["containers"][0]["args"]]
    replaced = {"--port=8500": "--port=0", "--rest_api_port=8501": f"--rest_api_port={http}"}
    assert set(replaced) < set(arguments)
    flags = [replaced.get(argument, argument) for argument in arguments]
    with server_process(flags, folder / "server.log") as (address, _):
        eventually(lambda: get_health(address) == SERVING)
        yield Pod(folder, address, f"http://127.0.0.1:{http}")


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own
        return str(response.read().decode())


def test_the_release_of_the_variable_answers(running: Pod) -> None:
    with Client(running.address) as client:
        assert client.model_status() == {1: "AVAILABLE"}


def test_the_probes_of_the_manifest_pass(running: Pod) -> None:
    server = pod()["containers"][0]
    assert (
        get_health(running.address, server["readinessProbe"]["grpc"].get("service", "")) == SERVING
    )
    assert (
        get_health(running.address, server["livenessProbe"]["grpc"].get("service", "")) == SERVING
    )
    assert '"emotion_ai"' in read(running.http + server["startupProbe"]["httpGet"]["path"])


def test_metrics_are_where_the_settings_say(running: Pod) -> None:
    assert ":tensorflow:serving:" in read(f"{running.http}/monitoring/prometheus/metrics")
