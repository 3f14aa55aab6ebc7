"""Fixtures of the tests of registries."""

from pathlib import Path

import pytest


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "models"
