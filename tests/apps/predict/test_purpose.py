"""What faces are analysed for: declared once, and stated by everything that is written."""

import csv
import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from pyarrow import parquet
from typer.testing import CliRunner

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cli.main import app

from support.fake_prediction_server import fake_prediction_server
from support.photographs import portrait

PURPOSE = "study 12 <ä>"


def run(*arguments: str, purpose: str | None = None) -> str:
    """Run `predict` in this process; raise what it raises."""
    environment = {"EMOTION_AI_PURPOSE": purpose}
    result = CliRunner().invoke(app, ["predict", *arguments], env=environment)
    if result.exception:
        raise result.exception
    return result.stdout


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph with a place and a preview in its metadata."""
    picture = Image.fromarray(portrait())
    exif = picture.getexif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 30.0, 0.0)
    exif[ExifTags.Base.Artist] = "somebody"
    picture.save(tmp_path / "me.jpg", exif=exif, comment="at home", icc_profile=b"profile")
    return tmp_path / "me.jpg"


def test_all_formats_state_a_purpose_that_was_declared_once(photo: Path, tmp_path: Path) -> None:
    with fake_prediction_server() as server:
        command = (str(photo), "--faces", "whole", "--server", server.address)
        # By the variable, and for one command by the option, which counts.
        record = json.loads(run(*command, purpose=PURPOSE))
        other = json.loads(run(*command, "--purpose", " another ", purpose=PURPOSE))
        assert "purpose" not in json.loads(run(*command, purpose=""))
        table = run(*command, "--format", "table", purpose=PURPOSE)
        for name in ("f.csv", "f.parquet"):
            run(*command, "-o", str(tmp_path / name), purpose=PURPOSE)
    assert (record["purpose"], other["purpose"]) == (PURPOSE, "another")
    assert table.splitlines()[-1].strip() == f"purpose: {PURPOSE}"
    with (tmp_path / "f.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["purpose"] == PURPOSE
    assert parquet.read_table(tmp_path / "f.parquet")["purpose"].to_pylist() == [PURPOSE]


def test_an_annotated_copy_states_the_purpose_and_nothing_of_the_photograph_s_metadata(
    photo: Path, tmp_path: Path
) -> None:
    with fake_prediction_server() as server:
        command = (str(photo), "--server", server.address, "--annotate")
        run(*command, str(tmp_path / "with"), purpose=PURPOSE)
        run(*command, str(tmp_path / "without"))
    about = Image.open(tmp_path / "with/me.jpg").info.pop("xmp").decode()
    assert "purpose: study 12 &lt;ä&gt;<" in about
    with Image.open(tmp_path / "without/me.jpg") as copy:
        assert copy.info.keys() == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not copy.getexif()


@pytest.mark.parametrize(
    ("purpose", "words"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("a\nb", "one line"),
        ("a\tb", "one line"),
        ("\x1b[31m", "control characters"),
        ("\udcff", "control characters"),
        ("a" * 201, "has 201 characters; expected at most 200"),
    ],
    ids=["empty", "blank", "lines", "tab", "escape", "bytes", "long"],
)
def test_other_purposes_are_refused(photo: Path, purpose: str, words: str) -> None:
    with pytest.raises(InputError, match=f"--purpose.*{words}"):
        run(str(photo), "--purpose", purpose)
