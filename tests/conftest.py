"""Fixtures that several folders of tests use: real processes, started once."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.cloud_storage import running_cloud_storage

pytest_plugins = ["support.registry_fixtures"]

# A shell's background job ignores Ctrl-C, and so would every process that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failing property.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def cloud_storage() -> Iterator[str]:
    """The URI of an empty bucket in a Cloud Storage server process on loopback."""
    with running_cloud_storage("faces") as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", address)
        patch.setenv("no_proxy", "127.0.0.1")
        yield "gs://faces"


@pytest.fixture(scope="session")
def tiny_saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with both signatures (see tiny_model), for whoever needs a model that serves."""
    from support.tiny_saved_model import write_saved_model

    return write_saved_model(tmp_path_factory.mktemp("tiny") / "saved_model")
