"""`emotion-ai predict` with the embedded server: photographs, folders, every output format."""

import csv
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai.client.client import Client
from emotion_ai.client.cropping import crop_faces
from emotion_ai.faces.keypoints import COLUMNS, NAMES
from emotion_ai.sample.drawing import draw_faces

from support.command_line import assert_refused, emotion_ai
from support.fake_prediction_server import fake_prediction_server
from support.photographs import match_boxes, paste_faces, portrait
from support.server_calls import RunningServer

FACES = next(draw_faces(6, 2)).images
SIDE = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of six faces, one and none, a damaged image, and no image, in two folders."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "more" / ".hidden").mkdir(parents=True)
    Image.fromarray(paste_faces(list(FACES), SIDE, 0).image).save(folder / "group.jpg", quality=95)
    Image.fromarray(portrait()).save(folder / "more" / "PORTRAIT.PNG")
    Image.new("RGB", (80, 60), "gray").save(folder / "more" / "empty.webp")
    (folder / "more" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    (folder / "more" / "notes.txt").write_text("not an image")
    Image.new("RGB", (80, 60)).save(folder / "more" / ".hidden" / "a.png")
    return folder


def test_predict_returns_each_face_in_image_coordinates(
    server: RunningServer,
) -> None:
    picture = paste_faces(list(FACES), SIDE, 0)
    with Client(server.address) as client:
        faces = client.predict(picture.image)
        assert len(match_boxes([face.box for face in faces], picture.frames)) == len(FACES)
        for face in faces:
            crops, ((left, top, width, height),) = crop_faces(
                picture.image, [face.box], client.detector.framing
            )
            # The model sets every keypoint at (11 + brightness, 20) of the 96x96 frame.
            x, y = 11.5 + crops.mean() / 255, 20.5
            place = [left + x * width / 96 - 0.5, top + y * height / 96 - 0.5]
            np.testing.assert_allclose(face.keypoints, [place] * 15, atol=0.01)
            assert face.emotion == max(face.probabilities, key=face.probabilities.__getitem__)
            assert face.model_version == 1


def test_predict_prints_json_lines_and_names_bad_images(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.jpg"
    result = emotion_ai("predict", str(folder), str(absent), "--server", server.address)
    assert result.returncode == 2
    damaged, missing, total = result.stderr.splitlines()
    assert f"{folder / 'more' / 'damaged.png'}: " in damaged
    assert missing.startswith(f"{absent}: ")
    assert total == "emotion-ai: 2 of 5 pictures could not be read"
    records = {Path(r["file"]).name: r for r in map(json.loads, result.stdout.splitlines())}
    names = ["group.jpg", "PORTRAIT.PNG", "damaged.png", "empty.webp", "absent.jpg"]
    assert list(records) == names
    assert [len(records[name]["faces"]) for name in names] == [6, 1, 0, 0, 0]
    assert "No such file" in records["absent.jpg"]["error"]
    assert (records["group.jpg"]["width"], records["group.jpg"]["height"]) == (1024, 768)
    (face,) = records["PORTRAIT.PNG"]["faces"]
    assert set(face["box"]) == {"left", "top", "width", "height"}
    assert list(face["keypoints"]) == list(NAMES)
    assert 0.5 < face["score"] <= 1
    assert face["latency_ms"] > 0


def test_predict_writes_a_row_per_face_as_csv_and_parquet(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    from pyarrow import parquet

    pictures = [str(folder / "group.jpg"), str(folder / "more" / "empty.webp")]
    for name in ("faces.csv", "faces.parquet"):
        result = emotion_ai(
            "predict", *pictures, "--server", server.address, "-o", str(tmp_path / name)
        )
        assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.csv", "faces.parquet"]
    with (tmp_path / "faces.csv").open() as file:
        texts = list(csv.DictReader(file))
    rows = parquet.read_table(tmp_path / "faces.parquet").to_pylist()
    assert [row["face"] for row in rows] == [0, 1, 2, 3, 4, 5, None]
    assert set(COLUMNS) < set(rows[0])
    for text, row in zip(texts, rows, strict=True):
        assert list(text) == list(row)
        for column, value in row.items():
            if column == "latency_ms":
                continue
            assert text[column] == ("" if value is None else str(value))
    assert sum(rows[0][f"probability_{name}"] for name in ("angry", "happy", "sad")) <= 1.001


def test_predict_prints_a_table(server: RunningServer, folder: Path) -> None:
    pictures = [str(folder / "more" / name) for name in ("PORTRAIT.PNG", "empty.webp")]
    result = emotion_ai("predict", *pictures, "--server", server.address, "--format", "table")
    assert result.returncode == 0
    # The server's small network may have learnt too little to tell.
    answer = r"([a-z]+ \d+% +[a-z]+ \d+%, |cannot tell +[a-z ]+: )"
    assert re.search(rf" \d+,\d+ \d+x\d+ +{answer}", result.stdout)
    assert "no face found" in result.stdout
    assert "PNG" in result.stdout


def test_predict_draws_on_the_faces_only(
    server: RunningServer, folder: Path, tmp_path: Path
) -> None:
    drawn = folder / "drawn"
    for _ in range(2):  # the second time, the first run's drawings must be skipped
        result = emotion_ai(
            "predict", str(folder), "--server", server.address, "--annotate", str(drawn)
        )
        assert_refused(result, 2, "damaged.png")
    names = sorted(str(path.relative_to(drawn)) for path in drawn.rglob("*.*"))
    assert names == ["group.jpg", "more/PORTRAIT.jpg", "more/empty.jpg"]
    with Image.open(drawn / "more/PORTRAIT.jpg") as picture:
        seen = np.asarray(picture).astype(int)
    changed = np.abs(seen - portrait()).max(2) > 60
    assert changed[90:420, 120:400].any()
    assert not changed[:60].any()
    assert not changed[:, :60].any()


def test_predict_rejects_invalid_arguments(folder: Path, tmp_path: Path) -> None:
    picture = str(folder / "group.jpg")
    assert_refused(emotion_ai("predict", picture, "--format", "xml"), 2, "'xml'", "jsonl, csv")
    assert_refused(emotion_ai("predict", picture, "-o", "faces.xls"), 2, "faces.xls", "parquet")
    assert_refused(emotion_ai("predict", picture, "--format", "parquet"), 2, "--output")
    assert_refused(emotion_ai("predict", picture, "-o", f"{folder}/more.csv/a.csv"), 2, "no folder")
    assert_refused(
        emotion_ai("predict", picture, "-o", str(folder), "--format", "csv"), 2, "a folder"
    )
    assert_refused(emotion_ai("predict", picture, "--faces", "haar"), 2, "'haar'", "yunet")
    server = ("--server", "localhost:1")
    without_file = emotion_ai("predict", picture, *server, "--tls-ca", "/absent.pem")
    assert_refused(without_file, 2, "/absent.pem")
    assert_refused(emotion_ai("predict", picture, "--tls-name", "a"), 2, "--server")
    assert_refused(emotion_ai("predict", picture, *server, "--registry", "r"), 2, "one of them")
    assert_refused(emotion_ai("predict", picture, "--release", "stable"), 2, "'stable'", "number")
    assert_refused(emotion_ai("predict", picture, "--release", "3"), 2, "--registry")
    many = emotion_ai("predict", picture, *server, "--release", "9" * 5000)
    assert_refused(many, 2, "expected the number of a release")
    for target in (("-o", picture, "--format", "csv"), ("--annotate", str(folder))):
        before = Path(picture).read_bytes()
        assert_refused(emotion_ai("predict", picture, *target), 2, "this is one of the pictures")
        assert Path(picture).read_bytes() == before
    assert_refused(emotion_ai("predict", str(tmp_path)), 2, str(tmp_path), "no picture")


def test_predict_resumes_after_being_killed(tmp_path: Path) -> None:
    """The server keeps the sixth request, so the command is killed while it waits."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(500):
        Image.new("L", (16, 16), number % 200).save(pictures / f"{number:03}.png")
    output = tmp_path / "faces.jsonl"
    journal = tmp_path / ".faces.jsonl.journal"
    killed = threading.Event()
    with fake_prediction_server(lambda number, _: number < 5 or killed.wait(120)) as server:
        arguments = ["predict", str(pictures), "--faces", "whole", "-o", str(output)]
        arguments += ["--server", server.address]
        with subprocess.Popen(
            [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments]
        ) as process:
            deadline = time.monotonic() + 60
            while not journal.exists() or len(journal.read_bytes().splitlines()) < 65:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            second = emotion_ai(*arguments)
            assert_refused(second, 2, "faces.jsonl", "another process")
            process.send_signal(signal.SIGKILL)
        killed.set()
        assert not output.exists()
        with journal.open("ab") as file:
            file.write(b'{"key": "torn')
        done = len(journal.read_bytes().splitlines()) - 2
        assert 64 <= done < 500
        # An image that has changed since must be sent again.
        Image.new("L", (16, 16), 250).save(pictures / "000.png")
        before = sum(faces for _, faces in server.calls)
        again = emotion_ai(*arguments)
        assert again.returncode == 0, again.stderr
        assert sum(faces for _, faces in server.calls) - before == 500 - done + 1
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [Path(record["file"]).name for record in records] == [f"{k:03}.png" for k in range(500)]
    # The fake model answers with the brightness of the first pixel, in 96 pixels for 16.
    x = [record["faces"][0]["keypoints"]["nose_tip"][0] for record in records]
    brightness = np.array([250, *(number % 200 for number in range(1, 500))])
    np.testing.assert_allclose(x, (brightness + 0.5) / 6 - 0.5, atol=0.01)
    assert not journal.exists()
