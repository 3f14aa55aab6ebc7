"""The installation that the tests of this folder share: overlay local with three servers."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.kubernetes_cluster import (
    KUBECTL,
    REGISTRY,
    install,
    load_images,
    roll_out,
    uninstall,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a cluster."""
    for item in items:
        if "tests/cluster" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Skip without a cluster of one's own: these tests drain nodes and stop its API server."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster: set KUBECONFIG to one that may be broken (make test-cluster)")
    answer = subprocess.run([KUBECTL, "get", "nodes"], capture_output=True, text=True)
    if answer.returncode:
        pytest.skip(f"no cluster answers: {answer.stderr.strip()}")


@pytest.fixture(scope="session")
def registry(cluster: None) -> Path:
    """An empty registry that the nodes see as the volume of the overlay."""
    shutil.rmtree(REGISTRY, ignore_errors=True)
    REGISTRY.mkdir(mode=0o755)
    return REGISTRY


@pytest.fixture(scope="session")
def publish(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., int]:
    """A function that publishes a tiny release with this shift; callers see the shift."""
    from support.tiny_saved_model import publish_tiny_release

    scratch = tmp_path_factory.mktemp("releases")

    def publish_shift(shift: float, golden_shift: float | None = None) -> int:
        golden_shift = shift if golden_shift is None else golden_shift
        version = publish_tiny_release(registry, scratch, shift, golden_shift)
        for path in [registry, *registry.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return version

    return publish_shift


@pytest.fixture(scope="session")
def installation(registry: Path) -> Iterator[None]:
    """The servers, installed with this checkout's images, before any release."""
    if "LOAD_IMAGE" not in os.environ:
        pytest.skip("set LOAD_IMAGE to a command that puts an image onto the nodes")
    load_images(("base", "serve"))
    # What an earlier session has left.
    uninstall("--wait=true")
    install("tests/cluster/overlay/")
    yield
    uninstall("--wait=false")


@pytest.fixture(scope="session")
def first_release(installation: None, publish: Callable[..., int]) -> int:
    """A release that is rolled out."""
    version = publish(1.0)
    answer = roll_out(version)
    assert answer.code == 0, answer.messages
    return version
