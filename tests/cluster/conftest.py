"""Installations that the tests of this folder share: one with servers, one of manifests alone."""

import os
from collections.abc import Callable, Iterator

import pytest

from support.cluster_installation import installed
from support.installed_manifests import Installed, installed_manifests
from support.kubectl import require_cluster
from support.kubernetes_cluster import roll_out


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a cluster."""
    for item in items:
        if "tests/cluster" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Skip without a cluster of one's own: these tests drain nodes and stop its API server."""
    require_cluster()


@pytest.fixture(scope="session")
def publish(cluster: None) -> Iterator[Callable[..., int]]:
    """The servers are installed; a function that publishes a tiny release with this shift."""
    if "LOAD_IMAGE" not in os.environ:
        pytest.skip("set LOAD_IMAGE to a command that puts an image onto the nodes")
    with installed() as publish_release:
        yield publish_release


@pytest.fixture(scope="session")
def first_release(publish: Callable[..., int]) -> int:
    """A release that is rolled out."""
    version = publish(1.0)
    answer = roll_out(version)
    assert answer.code == 0, answer.messages
    return version


@pytest.fixture(scope="module", name="installed")
def manifests() -> Iterator[Installed]:
    """The manifests are installed, without the images that their pods would run."""
    with installed_manifests() as there:
        yield there
