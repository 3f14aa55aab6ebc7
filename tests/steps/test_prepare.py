"""The step prepare: kept and carved splits, statistics, and the preview page."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import (
    ARRAYS,
    TEST,
    TRAIN,
    UNASSIGNED,
    VALIDATION,
    Faces,
    FacesInfo,
    FacesWriter,
    Rows,
)
from emotion_ai.faces.augmentation import AugmentationPolicy
from emotion_ai.faces.labels import label_set_names
from emotion_ai.sample.drawing import draw_faces, halve
from emotion_ai.steps.prepare.run import run as prepare

LABELS = label_set_names("fer7")


@pytest.fixture(scope="module")
def drawn():
    return [np.concatenate(column) for column in zip(*draw_faces(420, seed=1), strict=True)]


def expression_rows(drawn, split):
    images, _, emotions = drawn
    count = len(split)
    return Rows(
        halve(images[:count]), emotions[:count], np.array(split, np.uint8),
        np.arange(count, dtype=np.int64), np.full(count, -1, np.int64),
    )  # fmt: skip


def keypoint_rows(drawn, subject):
    images, keypoints, _ = drawn
    count = len(subject)
    return Rows(
        images[:count], keypoints[:count].astype(np.float32),
        np.full(count, UNASSIGNED, np.uint8), np.arange(count, dtype=np.int64) + 100,
        np.array(subject, np.int64),
    )  # fmt: skip


def run(tmp_path, rows, augmentation=None, **info):
    keypoints = rows.targets.ndim == 3
    usage = ("Training", "PublicTest", "PrivateTest")
    fields = {
        "kind": "keypoints" if keypoints else "expression",
        "labels": () if keypoints else LABELS,
        "label_set": "" if keypoints else "fer7",
        "image_size": rows.images.shape[1],
        "source": "faces.csv",
        "fingerprint": "f00",
        "split_names": ("train", "validation", "test") if keypoints else usage,
        "counts": {"left_out": 4},
    }
    with FacesWriter(tmp_path / "faces", FacesInfo(**(fields | info))) as writer:
        writer.append(rows)
    page = tmp_path / "preview.html"
    prepare(str(tmp_path / "faces"), augmentation or {}, str(tmp_path / "prepared"), str(page))
    return Faces(tmp_path / "prepared"), page.read_text()


def thirds(count):
    return np.arange(count) // 7 % 3


def test_prepare_keeps_the_splits_and_rows_of_the_source(tmp_path, drawn):
    rows = expression_rows(drawn, thirds(210))
    faces, _ = run(tmp_path, rows)
    for name in ARRAYS:
        np.testing.assert_array_equal(faces.column(name), getattr(rows, name))
    assert faces.info.split_names == ("Training", "PublicTest", "PrivateTest")
    assert faces.info.fingerprint == "f00"


def test_prepare_measures_the_pixels_of_train(tmp_path, drawn):
    rows = expression_rows(drawn, thirds(210))
    faces, _ = run(tmp_path, rows)
    train = rows.images[rows.split == TRAIN].astype(np.float64)
    assert faces.info.mean == pytest.approx(train.mean(), rel=1e-12)
    assert faces.info.deviation == pytest.approx(train.std(), rel=1e-9)


def test_prepare_adds_its_counts(tmp_path, drawn):
    rows = expression_rows(drawn, thirds(210))
    rows.images[0] = 0
    rows.images[21] = rows.images[7]  # a train row with the pixels of a validation row
    rows.images[14] = rows.images[8]  # a test row with those of another validation row
    faces, page = run(tmp_path, rows)
    counts = faces.info.counts
    assert counts["left_out"] == 4
    assert (counts["train"], counts["validation"], counts["test"]) == (68, 69, 70)
    assert counts["dropped_constant"] == 1
    assert counts["dropped_train_copy"] == 1
    assert counts["dropped_validation_copy"] == 1
    assert counts["test/happy"] == 10
    assert sum(counts[f"train/{label}"] for label in LABELS) == 68
    assert not {0, 21, 8} & set(faces.column("row"))
    for expected in ("68", "PublicTest", "constant images", "the same pixels"):
        assert expected in page


def test_prepare_carves_a_missing_split(tmp_path, drawn):
    rows = expression_rows(drawn, np.where(np.arange(420) % 5 == 0, VALIDATION, TRAIN))
    emotions = rows.targets % 2
    rows = Rows(rows.images, emotions, rows.split, rows.row, rows.subject)
    faces, page = run(tmp_path, rows, labels=("calm", "not calm"))
    assert faces.info.split_names == ("Training", "PublicTest", "test carved from Training")
    assert faces.info.counts["carved_test"] == 1
    assert faces.info.counts["carved_validation"] == 0
    assert 10 < faces.info.counts["test"] < 60
    assert (faces.column("row")[faces.positions(TEST)] % 5 != 0).all()
    assert "test carved from Training" in page


def test_prepare_keeps_people_in_one_split(tmp_path, drawn):
    faces, page = run(tmp_path, keypoint_rows(drawn, np.arange(420) // 4))
    assert faces.info.split_names == ("train", "validation", "test")
    assert len(faces) == 420
    people = [set(faces.column("subject")[faces.positions(split)]) for split in range(3)]
    assert all(people)
    assert sum(map(len, people)) == len(set.union(*people))
    assert "people" in page


def test_prepare_records_the_augmentation_policy(tmp_path, drawn):
    faces, page = run(tmp_path, expression_rows(drawn, thirds(210)), {"rotation": 7.0, "shift": 0})
    assert AugmentationPolicy(**faces.info.augmentation) == AugmentationPolicy(rotation=7, shift=0)
    assert "probability of a flip" in page


def test_preview_draws_keypoints(tmp_path, drawn):
    _, page = run(tmp_path, keypoint_rows(drawn, [-1] * 300))
    embedded = re.findall(r'alt="row (\d+)[^"]*" src="data:image/png;base64,([^"]+)"', page)
    assert len(embedded) == 8
    strip = Image.open(io.BytesIO(base64.b64decode(embedded[0][1])))
    assert strip.size == (7 * 192, 192)
    pixels = np.asarray(strip).reshape(192, 7, 192, 3).swapaxes(0, 1).astype(int)
    first_row = int(embedded[0][0]) - 100
    left_eye = np.rint((drawn[1][first_row, 0] + 0.5) * 2 - 0.5).astype(int)
    red, green, blue = pixels[0, left_eye[1], left_eye[0]]
    assert red > green > blue
    coloured = np.ptp(pixels, axis=-1) > 40
    assert (coloured.sum(axis=(1, 2)) > 15 * 20).all()


def test_prepare_is_deterministic(tmp_path, drawn):
    rows = expression_rows(drawn, thirds(210))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, first_page = run(tmp_path / "a", rows)
    second, second_page = run(tmp_path / "b", rows)
    assert first.info == second.info
    assert first_page == second_page


def test_prepare_rejects_a_split_without_an_emotion(tmp_path, drawn):
    split = thirds(210)
    split[(split == TEST) & (drawn[2][:210] == LABELS.index("disgust"))] = TRAIN
    with pytest.raises(InputError, match=r"faces\.csv: split PrivateTest .* emotion disgust;"):
        run(tmp_path, expression_rows(drawn, split))
    assert not (tmp_path / "prepared").exists()


def test_prepare_rejects_a_split_without_a_keypoint(tmp_path, drawn):
    rows = keypoint_rows(drawn, [-1] * 300)
    rows.targets[:, 10] = np.nan
    with pytest.raises(InputError, match=r"split train .* keypoint nose_tip"):
        run(tmp_path, rows)


def test_prepare_rejects_an_empty_split(tmp_path, drawn):
    split = np.where(np.arange(70) % 2, VALIDATION, TEST)
    with pytest.raises(InputError, match=r"split Training ends empty \(train 0, validation 35"):
        run(tmp_path, expression_rows(drawn, split))


def test_prepare_rejects_faces_without_rows(tmp_path, drawn):
    with pytest.raises(InputError, match="no row is left"):
        run(tmp_path, expression_rows(drawn, []))


def test_prepare_rejects_invalid_settings_before_reading(tmp_path):
    with pytest.raises(InputError, match=r"augmentation\.turn"):
        prepare(str(tmp_path / "absent"), {"turn": 3}, str(tmp_path / "p"), str(tmp_path / "h"))
