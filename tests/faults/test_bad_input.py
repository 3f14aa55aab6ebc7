"""Bad input: one message that names it and what was expected, and no result."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from emotion_ai.errors import InputError, one_line
from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.registry.publishing import publish
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.resolve.run import run as resolve

from support.command_line import assert_refused, emotion_ai
from support.face_csv import (
    keypoint_cells,
    pixel_text,
    random_images,
    write_expression,
    write_keypoints,
)
from support.minimal_release import write_minimal_release
from support.picture_folders import write_pictures

EVERY_CODE = [0, 1, 2, 3, 4, 5, 6]
PIXELS = [pixel_text(image) for image in random_images(len(EVERY_CODE), 48)]


class BadSource(NamedTuple):
    """A bad source of faces: how to write it, the words of the error, and the settings."""

    write: Callable[[Path], object]
    words: tuple[str, ...]
    settings: dict[str, Any] = {}


def with_pixels(change: Callable[[str], str]) -> Callable[[Path], object]:
    """Return a writer of seven valid expressions, except for the pixels of data row 2."""
    pixels = [*PIXELS[:2], change(PIXELS[2]), *PIXELS[3:]]
    return lambda path: write_expression(path, EVERY_CODE, pixels=pixels)


def with_keypoints(cells: list[str]) -> Callable[[Path], object]:
    """Return a writer of four valid rows of keypoints, except for the first cells of data row 1."""
    rows = keypoint_cells(4)
    rows[1][: len(cells)] = cells
    return lambda path: write_keypoints(path, rows)


def with_picture(write_file: Callable[[Path], object]) -> Callable[[Path], object]:
    """Return a writer of a folder of valid pictures, except for one."""

    def write(path: Path) -> None:
        write_pictures(path)
        (path / "test/sad/0.png").unlink()
        write_file(path / "test/sad/0.png")

    return write


def compressed(path: Path) -> bytes:
    return gzip.compress(write_expression(path, EVERY_CODE).read_bytes())


def write_zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("faces.csv", b"emotion,pixels\n" + b"\n" * (64 << 20))


def write_zip_with_parent_names(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../train/happy/0.png", b"a face")


def write_gzip_bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(b"emotion,pixels\n" + (b"0," + b"7 " * 2304 + b"\n") * 2000))


KEYPOINTS = {"kind": "keypoints"}
FIRST_ROW = ("data row 2 counted from 0 (line 4), column pixels",)
SOURCES = {
    "missing file": BadSource(lambda path: None, ("no such file",)),
    "empty file": BadSource(lambda path: path.touch(), ("empty", "a CSV with a header")),
    "header alone": BadSource(
        lambda path: path.write_text("emotion,pixels\n"), ("no row of data",)
    ),
    "no column pixels": BadSource(
        lambda path: path.write_text("emotion,Usage\n0,Training\n"),
        ("column pixels is missing", "line 1"),
    ),
    "2,303 pixels": BadSource(
        with_pixels(lambda text: text.rpartition(" ")[0]),
        (*FIRST_ROW, "2303 pixels, expected 2304 (48x48)"),
    ),
    "pixel of 256": BadSource(
        with_pixels(lambda text: "256 " + text.partition(" ")[2]),
        (*FIRST_ROW, "pixel 0 is '256', expected a whole number 0-255"),
    ),
    "pixel of x": BadSource(
        with_pixels(lambda text: "x " + text.partition(" ")[2]), (*FIRST_ROW, "pixel 0 is 'x'")
    ),
    "pixels of nan": BadSource(
        with_pixels(lambda text: " ".join(["nan"] * 2304)), (*FIRST_ROW, "pixel 0 is 'nan'")
    ),
    "label 7": BadSource(
        lambda path: write_expression(path, [0, 7, 2, 3, 4, 5, 6]),
        ("data row 1", "line 3", "column emotion", "'7', expected an emotion code 0-6"),
    ),
    "five classes as fer7": BadSource(
        lambda path: write_expression(path, [0, 1, 2, 3, 4] * 4), ("--label-set course5",)
    ),
    "keypoint at 140": BadSource(
        with_keypoints(["140"]),
        ("data row 1", f"column {COLUMNS[0]}", "'140', expected 0-96"),
        KEYPOINTS,
    ),
    "keypoints of nan": BadSource(
        with_keypoints(["NaN"] * 30), ("data row 1", "0 of 15 are given"), KEYPOINTS
    ),
    "subject that is no number": BadSource(
        lambda path: path.write_text(
            "emotion,pixels,subject\n" + "".join(f"{c},{PIXELS[c]},1e300\n" for c in EVERY_CODE)
        ),
        ("data row 0", "column subject", "'1e300'"),
    ),
    "truncated gzip": BadSource(
        lambda path: path.write_bytes(compressed(path)[:-2000]), ("damaged in its first MiB",)
    ),
    "random gzip": BadSource(
        lambda path: path.write_bytes(b"\x1f\x8b" + np.random.default_rng(1).bytes(999)),
        ("damaged",),
    ),
    "truncated zip": BadSource(
        lambda path: path.write_bytes(b"PK\3\4 and no more"), ("damaged zip",)
    ),
    "zip bomb": BadSource(write_zip_bomb, ("unpacks to",)),
    "zip with ../ names": BadSource(
        write_zip_with_parent_names, ("member '../train/happy/0.png'", "outside")
    ),
    "gzip bomb": BadSource(write_gzip_bomb, ("expands to more than 100 times",)),
    "folder with no images": BadSource(
        lambda path: (path / "train" / "happy").mkdir(parents=True),
        ("no picture in it", "train/happy"),
    ),
    "file that is no picture": BadSource(
        with_picture(lambda path: path.write_text("no PNG")),
        ("test/sad/0.png", "not a picture"),
    ),
    "picture of 30,000 x 30,000": BadSource(
        with_picture(lambda path: Image.new("1", (30_000, 30_000)).save(path)),
        ("test/sad/0.png", "too large", "900000000 pixels"),
    ),
    "link out of the folder": BadSource(
        with_picture(lambda path: path.symlink_to("/etc/hostname")),
        ("test/sad/0.png is a link that leads out of the folder",),
    ),
    "unknown check": BadSource(
        lambda path: write_expression(path, EVERY_CODE),
        ("checks.pixel_cuont is unknown", "pixel_count"),
        {"checks": {"pixel_cuont": 0.1}},
    ),
    "threshold of 1.5": BadSource(
        lambda path: write_expression(path, EVERY_CODE),
        ("checks.duplicates = 1.5", "expected at most 1"),
        {"checks": {"duplicates": 1.5}},
    ),
    "threshold of nan": BadSource(
        lambda path: write_expression(path, EVERY_CODE),
        ("checks.duplicates = nan",),
        {"checks": {"duplicates": float("nan")}},
    ),
}


def run_ingest(folder: Path, source: str, settings: dict[str, Any]) -> None:
    values = {"kind": "expression", "label_set": "fer7", "emotions": "", "checks": {}, **settings}
    outputs = {
        f"{name}_path": str(folder / "outputs" / name) for name in ("faces", "report", "statistics")
    }
    ingest(source, "", **values, **outputs)


def ingest_error(folder: Path, source: str, settings: dict[str, Any]) -> str:
    """Return the one-line message of ingest's error; assert that no faces are left."""
    with pytest.raises(InputError) as error:
        run_ingest(folder, source, settings)
    assert not list((folder / "outputs").rglob("faces.json"))
    assert one_line(error.value) == str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", SOURCES)
def test_ingest_rejects_bad_source(tmp_path: Path, name: str) -> None:
    case = SOURCES[name]
    path = tmp_path / "faces.csv"
    case.write(path)
    message = ingest_error(tmp_path, str(path), case.settings)
    assert "setting checks" in message or message.startswith(f"{path}: ")
    for word in case.words:
        assert word in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://faces/fer2013.csv", ("scheme s3://", "a path or gs://")),
        ("gs://", ("names no bucket",)),
        ("/dev/zero", ("not a regular file",)),
        ("x" * 300, ("File name too long",)),
        ("faces\0.csv", ("zero character",)),
        ("sample://12", ("12 sample faces", "20")),
    ],
)
def test_ingest_rejects_invalid_uri(tmp_path: Path, source: str, words: tuple[str, ...]) -> None:
    message = ingest_error(tmp_path, source, {})
    for word in words:
        assert word in message


def test_ingest_and_describe_name_a_missing_bucket(tmp_path: Path, cloud_storage: str) -> None:
    source = "gs://no-such-bucket/faces.csv"
    assert "gs://no-such-bucket: no such bucket" in ingest_error(tmp_path, source, {})
    assert_refused(
        emotion_ai("describe", "--registry", "gs://no-such-bucket/models"), 2, "no-such-bucket"
    )


def test_unwritable_registry_is_unchanged(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    registry = str(tmp_path / "file" / "registry")
    files, draft = write_minimal_release(tmp_path / "export", "a")
    with pytest.raises(InputError, match=f"{tmp_path}/file.*Not a directory"):
        publish(registry, files, draft)
    with pytest.raises(InputError, match=f"{tmp_path}/file is a file; expected a folder"):
        resolve("sample://20", "sample://20", registry, "run-1", {})
    assert (tmp_path / "file").read_text() == "in the way"


def test_describe_names_an_altered_file(tmp_path: Path) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    registry = tmp_path / "registry"
    publish(str(registry), files, draft)
    assert emotion_ai("describe", "1", "--registry", str(registry)).returncode == 0
    altered = registry / "1" / "variables" / "variables.index"
    altered.write_text("other weights")
    assert_refused(
        emotion_ai("describe", "1", "--registry", str(registry)), 1, str(altered), "altered"
    )
    altered.unlink()
    assert_refused(emotion_ai("describe", "1", "--registry", str(registry)), 2, str(altered))


def test_describe_rejects_a_release_with_files_outside_it(tmp_path: Path) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    registry = tmp_path / "registry"
    publish(str(registry), files, draft)
    record = registry / "1" / "assets.extra" / "release.json"
    record.write_text(record.read_text().replace("variables/variables.index", "../../dev/zero"))
    result = emotion_ai("describe", "1", "--registry", str(registry))
    assert_refused(result, 2, str(record), "'../../dev/zero' is no path within the folder")
