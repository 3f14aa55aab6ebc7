"""Records as text and as Parquet, and pictures with what was seen on them."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len

from emotion_ai.apps.predict.files import PictureFile, copy_names, find_pictures
from emotion_ai.apps.predict.output import choose_format, write_parquet, write_text
from emotion_ai.client.drawing import annotate
from emotion_ai.client.images import read_image
from emotion_ai.client.results import Box, Face, Prediction
from emotion_ai.errors import InputError
from emotion_ai.faces import head_pose
from emotion_ai.faces.keypoints import COLUMNS, NAMES

BOX = Box(1, 2, 30, 40, 0.9)


def face(probabilities: dict[str, float], box: Box = BOX) -> Face:
    points = np.array([[box.left + k, box.top + 2.5 * k] for k in range(15)])
    emotion = max(probabilities, key=probabilities.__getitem__)
    return Face(box, emotion, probabilities, points, 3, 0.0125)


# A rollout to another label set happened between the first picture and the second.
PREDICTIONS = (
    Prediction(0, "a, [b]\n.png", 64, 48, (face({"happy": 0.75, "sad": 0.25}),)),
    Prediction(1, "é.png", 64, 48, (face({"happy": 0.5, "fear": 0.5}), face({"fear": 1.0}))),
    Prediction(2, "none.png", 64, 48, ()),
    Prediction(3, "bad.png", 0, 0, (), "bad.png: not a picture"),
)


def records() -> list[dict[str, Any]]:
    return [prediction.as_dict() for prediction in PREDICTIONS]


def text(format: str) -> str:
    file = io.StringIO()
    write_text(records, format, file)
    return file.getvalue()


def test_write_text_writes_records_as_json_lines() -> None:
    assert [json.loads(line) for line in text("jsonl").splitlines()] == records()


def test_csv_and_parquet_have_columns_for_all_label_sets() -> None:
    from pyarrow import parquet

    rows = list(csv.DictReader(io.StringIO(text("csv"))))
    assert [row["file"] for row in rows] == [
        "a, [b]\n.png",
        "é.png",
        "é.png",
        "none.png",
        "bad.png",
    ]
    assert rows[0]["probability_sad"] == "0.25"
    assert (rows[1]["probability_sad"], rows[1]["probability_fear"]) == ("", "0.5")
    assert (rows[0]["nose_tip_x"], rows[0]["nose_tip_y"]) == ("11.0", "27.0")
    # The points of these faces are on a line, and happiness has a valence beside a negative one.
    assert [(row["valence"], row["yaw"], row["measure_smile"]) for row in rows] == [
        ("0.5", "", ""),
        ("0.0", "", ""),
        ("", "", ""),
        ("", "", ""),
        ("", "", ""),
    ]
    assert [row["error"] for row in rows[3:]] == ["", "bad.png: not a picture"]
    assert set(COLUMNS) < set(rows[0])

    file = io.BytesIO()
    write_parquet(records, file)
    table = parquet.read_table(io.BytesIO(file.getvalue()))
    assert table.column_names == list(rows[0])
    assert table["model_version"].to_pylist() == [3, 3, 3, None, None]
    assert table["probability_fear"].to_pylist() == [None, 0.5, 1.0, None, None]


def test_write_text_shows_brackets_and_errors_in_a_table() -> None:
    shown = text("table")
    for words in ("[b]", "happy 75%", "sad 25%", "1,2 30x40", "no face found", "not a picture"):
        assert words in shown
    # A row for each face, and none for the end of a line within a name.
    assert "a, [b]\ufffd.png" in shown
    assert len(shown.splitlines()) == 6


def test_a_narrow_table_shortens_names_and_keeps_emotions_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = face({"a person's very own emotion": 0.5, "surprise": 0.3, "neutral": 0.2})
    box = Box(1234, 2345, 1300, 1400)
    happy = face({"happy": 0.75, "surprise": 0.15, "neutral": 0.1}, box)
    predictions = [
        Prediction(0, "holidays/" * 12 + "IMG_182233.jpg", 64, 48, (happy, long)),
        Prediction(1, "\N{CJK UNIFIED IDEOGRAPH-5199}" * 60 + ".jpg", 64, 48, (happy,)),
        Prediction(2, "b.jpg", 64, 48, ()),
    ]
    file = io.StringIO()
    write_text(lambda: [prediction.as_dict() for prediction in predictions], "table", file)
    lines = [line for line in file.getvalue().splitlines() if line.strip()]
    # A shortened name takes one line, with its end.
    (name, wide, short) = [line.split()[0] for line in lines[2:] if line[0] != " "]
    assert re.fullmatch(r"holid.*…\w+33\.jpg", name)
    assert re.fullmatch(r"\u5199+…\u5199+\.jpg", wide)
    assert short == "b.jpg"
    assert max(map(cell_len, lines)) <= 80
    for words in (
        "happy 75%,",
        "surprise 15%,",
        "neutral 10%",
        "a per…wn emotion",
        "surprise 30%,",
    ):
        assert any(words in line for line in lines), words


def test_choose_format_prefers_the_name_over_the_suffix() -> None:
    assert choose_format("", None) == ""
    assert choose_format("csv", Path("a.parquet")) == "csv"
    assert [choose_format("", Path(f"a.{end}")) for end in ("CSV", "jsonl", "ndjson")] == [
        "csv",
        "jsonl",
        "jsonl",
    ]
    with pytest.raises(InputError, match=r"'xml'.*jsonl, csv, parquet, table"):
        choose_format("xml", None)


def test_copy_names_are_unique(tmp_path: Path) -> None:
    for name in ("x/a.png", "x/a.jpg", "y/a.png", "y/b/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files = find_pictures([tmp_path / "x", tmp_path / "y", tmp_path / "y/a.png"])
    assert files[0] == PictureFile(tmp_path / "x/a.jpg", Path("a.jpg"))
    names = ["a.jpg", "a-2.jpg", "a-3.jpg", "b/a.jpg", "a-4.jpg"]
    assert copy_names(files, ".jpg") == [Path(name) for name in names]


def test_photos_that_are_not_read_are_listed_and_named(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "IMG_0001.JPG")
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
    (tmp_path / "IMG_0002.HEIC").write_bytes(heic)
    (tmp_path / "notes.txt").touch()
    files = find_pictures([tmp_path])
    assert [file.name.name for file in files] == ["IMG_0001.JPG", "IMG_0002.HEIC"]
    with pytest.raises(InputError, match=r"IMG_0002\.HEIC: a HEIC photo, .* save it as JPEG"):
        read_image(files[1].path)


_PLACE = st.floats(-300, 600)
_SIDE = st.floats(0.5, 700)


@settings(max_examples=40)
@given(
    st.lists(st.builds(Box, _PLACE, _PLACE, _SIDE, _SIDE), max_size=5),
    st.tuples(st.integers(16, 300), st.integers(16, 300)),
)
def test_annotate_draws_faces_anywhere_on_a_copy(boxes: list[Box], size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 127, np.uint8)
    seen = annotate(image, [face({"happy": 0.7, "mood": 0.3}, box) for box in boxes])
    assert (seen.shape, seen.dtype) == (image.shape, np.uint8)
    assert (image == 127).all()
    assert (seen != 127).any() == bool(boxes)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=HYPERLINK(A1).png", "'=HYPERLINK(A1).png"),
        ("+1.png", "'+1.png"),
        ("-1.png", "'-1.png"),
        ("@SUM.png", "'@SUM.png"),
        ("\t=1.png", "'\t=1.png"),
        ("\N{FULLWIDTH EQUALS SIGN}1.png", "'\N{FULLWIDTH EQUALS SIGN}1.png"),
        ("a=1.png", "a=1.png"),
        ("a\x1b[31m.png", "a\ufffd[31m.png"),
    ],
)
def test_a_csv_has_no_formulas_and_no_escape_sequences(name: str, cell: str) -> None:
    """Of names, labels of a foreign server, and errors; a number may be negative."""
    seen = face({name: 1.0}, Box(-3, 2, 30, 40, 0.9))
    predictions = [
        Prediction(0, name, 64, 48, (seen,)),
        Prediction(1, "b.png", 0, 0, (), f"{name}: not a picture"),
    ]
    file = io.StringIO(newline="")
    write_text(lambda: [prediction.as_dict() for prediction in predictions], "csv", file)
    first, second = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
    assert (first["file"], first["emotion"], first["left"]) == (cell, cell, "-3.0")
    assert second["error"] == f"{cell}: not a picture"
    json_lines = io.StringIO()
    write_text(lambda: [predictions[0].as_dict()], "jsonl", json_lines)
    assert json.loads(json_lines.getvalue())["file"] == name


def test_annotate_draws_a_line_to_where_a_face_is_turned() -> None:
    """Right of the nose's tip, or left of it, by the same length."""
    points, _ = head_pose._geometry()
    lines = []
    for yaw in (30.0, 0.0, -30.0):
        places = 40 * head_pose._project(points, np.array([yaw]), np.array([0.0]))[0]
        keypoints = np.stack([places.real, -places.imag], 1) + 80
        seen = Face(Box(30, 30, 100, 100), "happy", {"happy": 1.0}, keypoints, 1, 0.0)
        drawn = annotate(np.full((160, 160, 3), 127, np.uint8), [seen])
        x, y = np.rint(keypoints[NAMES.index("nose_tip")]).astype(int)
        lines.append([int((drawn[y, x + side * 10] > 200).all()) for side in (1, -1)])
    assert lines == [[1, 0], [0, 0], [0, 1]]
