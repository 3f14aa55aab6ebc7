"""The step ingest: folders and cells with other words for emotions and splits."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from emotion_ai.errors import InputError
from emotion_ai.faces.labels import LABEL_SETS, EmotionReader, select_emotions

from support.face_csv import FER7, random_images, write_expression
from support.ingest_step import EVERY_CODE, Outputs

NAMES = LABEL_SETS["fer7"]
RAF_DB = ("6", "3", "2", "4", "5", "1", "7")


def write_folders(
    folder: Path, emotions: Sequence[str], splits: Sequence[str] = ("train", "test")
) -> None:
    """Write a picture of each emotion in each split."""
    images = iter(random_images(len(emotions) * len(splits), 48))
    for split in splits:
        for emotion in emotions:
            path = folder / split / emotion
            path.mkdir(parents=True)
            Image.fromarray(next(images)).save(path / "0.png")


@pytest.mark.parametrize(
    "words",
    [
        ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        ("Anger", "Disgusted", "Fearful", "Happy", "Sad", "Surprised", "Neutral"),
        ("angry", "disgust", "scared", "joy", "sad", "suprise", "neutral"),
        tuple(f"{code}_{name}" for code, name in enumerate(NAMES)),
        tuple(f"{code:02d}-{name.upper()}" for code, name in enumerate(NAMES)),
        RAF_DB,
    ],
)
def test_folders_name_emotions_in_the_words_of_data_sets(
    tmp_path: Path, outputs: Outputs, words: Sequence[str]
) -> None:
    write_folders(tmp_path / "fer", words)
    outputs.ingest(tmp_path / "fer")
    faces = outputs.faces
    expected = [code for _, code in sorted(zip(words, range(7), strict=True))] * 2
    assert faces.column("targets").tolist() == expected
    assert faces.info.labels == NAMES
    assert outputs.statistics["emotion_words"] == [
        {"word": word, "emotion": name, "rows": 2} for word, name in zip(words, NAMES, strict=True)
    ]
    assert f"<td>{words[3]}</td><td>happy</td>" in outputs.report.replace("\n", "")


@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
def test_folders_name_the_validation_split_in_other_words(
    tmp_path: Path, outputs: Outputs, validation: str
) -> None:
    write_folders(tmp_path / "fer", NAMES, ("train", validation))
    outputs.ingest(tmp_path / "fer")
    info = outputs.faces.info
    assert info.split_names == ("train", validation, "test")
    assert (info.counts["split/train"], info.counts[f"split/{validation}"]) == (7, 7)


def test_csv_names_splits_as_the_source_writes_them(tmp_path: Path, outputs: Outputs) -> None:
    usage = ["Train", "Val", "Test", *["Train"] * 4]
    outputs.ingest(write_expression(tmp_path / "fer.csv", EVERY_CODE, usage))
    assert outputs.faces.info.split_names == ("Train", "Val", "Test")
    assert outputs.faces.info.counts["split/Val"] == 1


@pytest.mark.parametrize("form", ["folder", "CSV"])
def test_emotions_outside_the_label_set_are_left_out_and_counted(
    tmp_path: Path, outputs: Outputs, form: str
) -> None:
    if form == "folder":
        source = tmp_path / "ckplus"
        write_folders(source, [*NAMES, "contempt"])
    else:
        source = write_expression(tmp_path / "faces.csv", [*NAMES, "contempt"] * 2)
    # All seven, to leave contempt out.
    outputs.ingest(source, emotions=",".join(NAMES))
    assert len(outputs.faces) == 14
    assert outputs.statistics["rows_of_other_emotions"] == 2
    assert outputs.statistics["rows_left_out"] == 0
    assert {"word": "contempt", "emotion": "", "rows": 2} in outputs.statistics["emotion_words"]
    assert "<td>contempt</td><td>left out</td>" in outputs.report.replace("\n", "")
    few = Outputs(tmp_path / "few")
    few.ingest(source, emotions="sad,happiness")
    assert few.faces.info.labels == ("happy", "sad")
    assert few.statistics["rows_of_other_emotions"] == 12
    with pytest.raises(InputError, match=r"contempt.*outside|contempt.*not in the label set") as no:
        Outputs(tmp_path / "all").ingest(source)
    assert "--emotions" in str(no.value)


@pytest.mark.parametrize(
    "words",
    [
        tuple(map(str, range(7))),
        tuple(map(str, range(8))),
        ("1", "2", "3"),
        ("1", "happy"),
    ],
)
def test_numbers_with_several_meanings_are_refused(
    tmp_path: Path, outputs: Outputs, words: tuple[str, ...]
) -> None:
    write_folders(tmp_path / "faces", words)
    with pytest.raises(InputError, match="numbers stand for other emotions in other data sets"):
        outputs.ingest(tmp_path / "faces")


def test_words_need_no_codes_5_and_6(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "faces.csv", ["happy", "sad"] * 3)
    outputs.ingest(path, emotions="happy,sad")
    assert outputs.faces.column("targets").tolist() == [0, 1] * 3


def test_every_word_has_one_meaning() -> None:
    assert [FER7.code_of(word) for word in ("Anger", "2 fear", " joy", "glad", "")] == [
        0,
        2,
        3,
        None,
        None,
    ]
    course = EmotionReader(LABEL_SETS["course5"])
    assert course.code_of("angry") == 0
    assert course.code_of("fear") is None
    assert select_emotions("course5", "angry, sadness") == ("anger", "sad")
