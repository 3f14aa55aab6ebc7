"""A small disk, for tests of what happens when it is full."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.small_disk import mounted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as disk:
        yield disk
