"""Pictures that cannot be read: how many of how many, and the exit code."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from emotion_ai.apps.predict.command import predict_paths
from emotion_ai.client.client import Client
from emotion_ai.client.requests import MAX_PICTURES_PER_BATCH
from emotion_ai.errors import InputError, Unavailable

from support.fake_prediction_server import fake_prediction_server


def make_pictures(folder: Path, count: int) -> None:
    """Make pictures of which the first two are damaged."""
    for number in range(count):
        Image.new("L", (16, 16), number).save(folder / f"{number:02}.png")
    for number in range(2):
        (folder / f"{number:02}.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")


@pytest.mark.parametrize("format", ["jsonl", "csv", "table"])
def test_each_is_named_and_of_how_many_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    make_pictures(tmp_path, 5)
    message = r"^2 of 5 pictures could not be read$"
    with (
        fake_prediction_server() as server,
        Client(server.address, faces="whole") as client,
        pytest.raises(InputError, match=message),
    ):
        predict_paths([tmp_path], client, format)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("00.png", "01.png")
    ]


def test_pictures_that_an_interrupted_run_could_not_read_are_failures_still(
    tmp_path: Path,
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    make_pictures(pictures, MAX_PICTURES_PER_BATCH + 1)

    def fail(number: int, context: Any) -> None:
        if number == 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory")

    output = tmp_path / "faces.jsonl"
    with (
        fake_prediction_server(fail) as server,
        Client(server.address, faces="whole") as client,
    ):
        with pytest.raises(Unavailable, match="no memory"):
            predict_paths([pictures], client, output=output)
        with pytest.raises(InputError, match=r"^2 of 17 pictures could not be read$"):
            predict_paths([pictures], client, output=output)
    assert len(output.read_text().splitlines()) == 17
