"""The images that the tests of this folder share, built once."""

import docker
import pytest
from docker.errors import DockerException

from support.container_engine import make_images


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs an engine."""
    for item in items:
        if "tests/containers" in item.path.as_posix():
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session", autouse=True)
def client() -> docker.DockerClient:
    """The engine, as the Docker SDK finds it."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no container engine answers: {error}")
    return client


@pytest.fixture(scope="session")
def images(client: docker.DockerClient) -> dict[str, str]:
    """The image of each target that `make images` builds."""
    return make_images()
