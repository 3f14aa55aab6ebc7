"""Fixtures of the steps' tests."""

from pathlib import Path

import pytest

from support.ingest_step import Outputs


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    """The step ingest with empty outputs."""
    return Outputs(tmp_path / "outputs")
