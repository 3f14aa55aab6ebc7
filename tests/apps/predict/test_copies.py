"""`predict --annotate --blur`: copies in which nobody is recognised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from emotion_ai.apps.predict import command
from emotion_ai.client.detectors import open_detector
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.cli.main import app

from support.fake_prediction_server import fake_prediction_server
from support.photographs import portrait


def run(*arguments: str) -> None:
    """Run `predict` in this process; raise what it raises."""
    result = CliRunner().invoke(app, ["predict", *arguments])
    if result.exception:
        raise result.exception


def count_faces(path: Path) -> int:
    with Image.open(path) as picture:
        return len(open_detector("yunet").find_faces(np.asarray(picture)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(portrait()).save(folder / name)
    return folder


def test_copies_of_an_interrupted_command_are_hidden_when_it_goes_on_with_blur(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise Unavailable("no space")

    drawn = tmp_path / "drawn"
    with fake_prediction_server() as server:
        arguments = (str(photos), "--annotate", str(drawn), "-o", str(tmp_path / "f.csv"))
        arguments += ("--server", server.address)
        with monkeypatch.context() as patch:
            patch.setattr(command, "_write_output", fail)
            with pytest.raises(Unavailable, match="no space"):
                run(*arguments)
        assert (tmp_path / ".f.csv.journal").exists()
        run(*arguments, "--blur")
    assert [count_faces(drawn / name) for name in ("a.jpg", "b.jpg")] == [0, 0]


def test_blur_needs_copies(photos: Path) -> None:
    with pytest.raises(InputError, match="--blur: is for --annotate"):
        run(str(photos), "--blur")


def test_an_empty_folder_for_copies_is_not_the_current_one(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^'': expected the name of a file or folder"):
        run(str(photos), "--annotate", "")
    assert [*tmp_path.iterdir()] == [photos]
