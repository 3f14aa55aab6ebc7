"""The server's image on a mounted registry, and the client's image asking it."""

import json
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.registry.champion import write_champion

from support.container_engine import ENGINE, answered, engine
from support.server_calls import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(image: str, registry: Path) -> Iterator[tuple[str, str]]:
    """The container of a server over a registry, and the address it answers at."""
    # models.config names the registry's own path.
    mount = f"--volume={registry}:{registry}:ro"
    port = free_port()
    limits = ("--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", mount)
    publish = f"--publish=127.0.0.1:{port}:8500"
    name = answered("run", "--detach", *limits, publish, image, "--registry", str(registry))
    try:
        eventually(lambda: "version 1 is available" in log_of(name), 120)
        yield name, f"127.0.0.1:{port}"
    finally:
        engine("rm", "--force", name)


def log_of(container: str) -> str:
    both = engine("logs", container)
    return both.stdout + both.stderr


def open_to_all(folder: Path) -> None:
    """An image's user is nobody in particular."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_the_client_image_asks_the_server_image(images: dict[str, str], tmp_path: Path) -> None:
    from support.tiny_saved_model import publish_tiny_release

    registry = tmp_path / "registry"
    registry.mkdir()
    publish_tiny_release(registry, tmp_path, 1.0, 1.0)
    write_champion(str(registry), 1)
    open_to_all(registry)
    faces = tmp_path / "faces"
    faces.mkdir()
    Image.new("L", (96, 96), 200).save(faces / "face.png")
    open_to_all(faces)
    with served(images["serve"], registry) as (_, address):
        host = ("--network=host", "--read-only", "--cap-drop=ALL", f"--volume={faces}:/faces:ro")
        asked = ("predict", "/faces", "--faces", "whole", "--server", address)
        record = json.loads(answered("run", "--rm", *host, images["client"], *asked))
    (answer,) = record["faces"]
    assert answer["model_version"] == 1
    assert answer["keypoints"]["nose_tip"][1] == pytest.approx(20, abs=0.01)


def test_sigterm_ends_the_server_within_five_seconds_and_no_request_is_lost(
    images: dict[str, str], tmp_path: Path
) -> None:
    from support.tiny_saved_model import gray_faces, write_slow_model

    registry = tmp_path / "registry"
    write_slow_model(registry / "1")
    write_champion(str(registry), 1)
    open_to_all(registry)
    with (
        served(images["serve"], registry) as (name, address),
        Client(address) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        answer = pool.submit(client.predict_arrays, gray_faces(2))
        eventually(lambda: "under way" in log_of(name))
        # The engine kills what has not ended by then, and the code would be 137.
        subprocess.run([ENGINE, "stop", "--time=5", name], check=True, capture_output=True)
        assert answer.result().outputs["steps"].tolist() == [3000, 3000]
        assert answered("inspect", "--format={{.State.ExitCode}}", name) == "0"
        with pytest.raises(Unavailable, match=address):
            client.predict_arrays(gray_faces(1))
