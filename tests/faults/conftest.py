"""A small disk, for tests that fill it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.small_disk import mounted_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk") as disk:
        yield disk
