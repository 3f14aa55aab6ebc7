"""A short video of two faces."""

from pathlib import Path

import pytest

from support.videos import FPS, save_video, two_people


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people over 6 seconds, 60 frames."""
    path = tmp_path_factory.mktemp("video") / "two.mp4"
    return save_video(path, two_people(6, FPS), FPS)
