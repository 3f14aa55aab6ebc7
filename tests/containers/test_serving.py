"""The server's image on a mounted or fetched registry, and the client's image asking it."""

import json
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

from support.cloud_storage import free_port
from support.container_engine import BARE, ENGINE, answered, engine
from support.server_calls import eventually


@contextmanager
def served(image: str, registry: Path, *flags: str) -> Iterator[tuple[str, str]]:
    """The container of a server over a registry, and the address it answers at."""
    # models.config names the registry's own path.
    mount = f"--volume={registry}:{registry}:ro"
    with running(image, mount, "--registry", str(registry), *flags) as server:
        yield server


@contextmanager
def running(image: str, mount: str, *flags: str) -> Iterator[tuple[str, str]]:
    """The container of a server that loads version 1, and the address it answers at."""
    port = free_port()
    limits = ("--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", mount)
    publish = f"--publish=127.0.0.1:{port}:8500"
    name = answered("run", "--detach", *limits, publish, image, *flags)
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
        # Its own networks, which need no server.
        own = json.loads(answered("run", "--rm", *host, images["client"], *asked[:-2]))
    assert sum(own["faces"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    (answer,) = record["faces"]
    assert answer["model_version"] == 1
    assert answer["keypoints"]["nose_tip"][1] == pytest.approx(20, abs=0.01)


def test_the_server_image_serves_what_the_base_image_fetched(
    images: dict[str, str], tmp_path: Path
) -> None:
    from support.tiny_saved_model import publish_tiny_release

    registry, models = tmp_path / "registry", tmp_path / "models"
    publish_tiny_release(registry, tmp_path, 1.0, 1.0)
    open_to_all(registry)
    models.mkdir()
    models.chmod(0o777)
    log = tmp_path / "termination-log"
    log.touch()
    log.chmod(0o666)
    mounts = (
        f"--volume={registry}:/registry:ro",
        f"--volume={models}:/models",
        f"--volume={log}:/dev/termination-log",
    )
    environment = ("--env=REGISTRY=/registry", "--env=RELEASE=1")
    program = ("python3", "-m", "emotion_ai.registry.fetching", "--into", "/models")
    answered("run", "--rm", *BARE, *mounts, *environment, images["base"], *program)
    assert json.loads(log.read_text())["release"] == 1
    assert {path.stat().st_uid for path in models.rglob("*")} == {10001}
    # As in a pod: the server has no registry.
    mount = f"--volume={models}:/models:ro"
    flags = ("--model_config_file=/models/models.config", "--file_system_poll_wait_seconds=0")
    with running(images["serve"], mount, *flags) as (_, address), Client(address) as client:
        assert client.model_status() == {1: "AVAILABLE"}


def test_before_the_first_rollout_the_base_image_waits_and_heeds_sigterm(
    images: dict[str, str], tmp_path: Path
) -> None:
    program = ("python3", "-m", "emotion_ai.registry.fetching", "--into", "/tmp/models")
    name = answered(
        "run", "--detach", *BARE, "--env=REGISTRY=/tmp/registry", images["base"], *program
    )
    try:
        eventually(lambda: "waiting for the first rollout" in log_of(name), 120)
        subprocess.run([ENGINE, "stop", "--time=5", name], check=True, capture_output=True)
        assert answered("inspect", "--format={{.State.ExitCode}}", name) == "143"
    finally:
        engine("rm", "--force", name)


def test_sigterm_ends_the_server_within_five_seconds_and_no_request_is_lost(
    images: dict[str, str], tmp_path: Path
) -> None:
    from support.tiny_saved_model import gray_faces, write_slow_model

    registry = tmp_path / "registry"
    write_slow_model(registry / "1")
    write_champion(str(registry), 1)
    open_to_all(registry)
    with (
        served(images["serve"], registry, "--allow_unverified_releases") as (name, address),
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
