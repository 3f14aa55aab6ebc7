"""The sample data set: Kaggle's formats, reproducible from the seed, complete or absent."""

import hashlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.sample.files import write_sample
from emotion_ai.sample.uri import parse_sample_uri

FACES, SEED = 350, 11
KEYPOINTS_DIGEST, EXPRESSION_DIGEST = "013d55cda9747370", "17a2e9828ef873bf"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "new" / "folder"
    write_sample(folder, FACES, SEED)
    return folder


@pytest.fixture(scope="module")
def keypoints(folder):
    return pd.read_csv(folder / "keypoints.csv")


@pytest.fixture(scope="module")
def expression(folder):
    return pd.read_csv(folder / "expression.csv")


def _digests(folder):
    names = ("keypoints.csv", "expression.csv")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


def test_write_sample_is_reproducible_from_the_seed(folder, tmp_path):
    write_sample(tmp_path / "again", FACES, SEED)
    write_sample(tmp_path / "other", FACES, SEED + 1)
    assert _digests(tmp_path / "again") == _digests(folder)
    assert _digests(tmp_path / "other") != _digests(folder)


def test_write_sample_gives_the_same_bytes_on_every_machine(tmp_path):
    # Recorded once. They depend on the drawing code, but not on the machine.
    write_sample(tmp_path, 20, 0)
    assert [digest[:16] for digest in _digests(tmp_path)] == [KEYPOINTS_DIGEST, EXPRESSION_DIGEST]


def test_write_sample_keypoints_have_the_format_of_kaggles_training_file(keypoints):
    assert list(keypoints.columns) == [*COLUMNS, "Image"]
    assert len(keypoints) == FACES
    pixels = np.stack([np.array(text.split(), dtype=int) for text in keypoints["Image"]])
    assert pixels.shape == (FACES, 96 * 96)
    assert pixels.min() >= 0
    assert pixels.max() <= 255
    annotated = keypoints[list(COLUMNS)].notna().sum(axis=1)
    assert (annotated[:280] == 30).all()
    assert (annotated[280:] == 8).all()
    assert keypoints[["nose_tip_x", "mouth_center_bottom_lip_y"]].notna().all(axis=None)


def test_write_sample_expression_has_the_format_of_fer_2013(expression):
    assert list(expression.columns) == ["emotion", "pixels", "Usage"]
    assert {len(text.split()) for text in expression["pixels"]} == {48 * 48}
    share = expression["Usage"].value_counts(normalize=True)
    assert share.to_dict() == pytest.approx(
        {"Training": 0.8, "PublicTest": 0.1, "PrivateTest": 0.1}
    )
    assert (expression.groupby("Usage")["emotion"].nunique() == 7).all()


def test_write_sample_fills_every_split_with_three_rounds_of_emotions(tmp_path):
    write_sample(tmp_path, 21, 0)
    usage = pd.read_csv(tmp_path / "expression.csv").groupby("Usage")["emotion"].nunique()
    assert usage.to_dict() == {"Training": 7, "PublicTest": 7, "PrivateTest": 7}


def test_write_sample_rows_show_the_same_face_in_both_files(folder, keypoints, expression):
    large, small = (
        np.array(text.split(), dtype=float).reshape(side, side)
        for text, side in ((keypoints["Image"][5], 96), (expression["pixels"][5], 48))
    )
    means = large.reshape(48, 2, 48, 2).mean(axis=(1, 3))
    assert np.abs(means - small).max() <= 0.5


def test_draw_faces_longer_samples_begin_with_shorter_ones():
    longer = np.concatenate([block.images for block in draw_faces(200, 4)])
    shorter = np.concatenate([block.images for block in draw_faces(30, 4)])
    assert len(longer) == 200
    np.testing.assert_array_equal(longer[:30], shorter)


def test_write_sample_leaves_no_files_when_it_fails(tmp_path):
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "from emotion_ai.errors import exit_on_failure\n"
        "from emotion_ai.sample.files import write_sample\n"
        "with exit_on_failure():\n"
        "    write_sample(sys.argv[1], 50, 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_write_sample_names_a_file_that_is_no_folder(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken is not a folder"):
        write_sample(tmp_path / "taken", 20, 0)


@pytest.mark.parametrize(("faces", "seed"), [(19, 0), (1_000_001, 0), (20, -1), (20, 2**32)])
def test_write_sample_checks_bounds_before_writing(tmp_path, faces, seed):
    with pytest.raises(InputError, match="expected"):
        write_sample(tmp_path / "sample", faces, seed)
    assert not (tmp_path / "sample").exists()


@pytest.mark.parametrize(
    ("uri", "parsed"),
    [
        ("sample://2000?seed=7", (2000, 7)),
        ("sample://20", (20, 0)),
        ("sample://0021?seed=0", (21, 0)),
    ],
)
def test_parse_sample_uri_returns_faces_and_seed(uri, parsed):
    assert parse_sample_uri(uri) == parsed


@pytest.mark.parametrize(
    "uri",
    ["sample://", "sample://ten", "sample://50?seed=", "sample://50?seed=-1", "sample://50?size=3",
     "sample://19", "sample://2000000", "sample://50?seed=99999999999", "/data/faces.csv",
     "sample://\u0665\u0660", "sample://50\n"],
)  # fmt: skip
def test_parse_sample_uri_rejects_other_addresses(uri):
    with pytest.raises(InputError, match="expected"):
        parse_sample_uri(uri)
