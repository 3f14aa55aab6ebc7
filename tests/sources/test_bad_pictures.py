"""Tests of `sources.pictures`: bad files are left out, and findings name the file."""

import json
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.sources import pictures

from support.ingest_step import run_ingest
from support.picture_folders import upload, write_pictures, zip_folder


def png_of_size(width: int, height: int) -> bytes:
    """Return a small PNG whose header states this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_files_that_are_no_pictures_are_dropped_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder, each=3)
    picture = (folder / "train/sad/0.png").read_bytes()
    (folder / "cover.jpg").write_text("about these faces")
    (folder / "test/angry/1.png").write_text("<b>no picture</b>")
    (folder / "test/fear/2.png").write_bytes(picture[: len(picture) // 2])
    (folder / "train/fear/2.png").write_bytes(png_of_size(30_000, 30_000))
    (folder / "train/happy/1.png").write_bytes(png_of_size(9_000, 9_000))
    (folder / "train/happy/2.png").write_bytes(b"")
    zip_folder(folder, tmp_path / "fer.zip")
    for source in (folder, tmp_path / "fer.zip"):
        faces = run_ingest(source, tmp_path / "out")
        assert len(faces) == 42 - 5
        report = (tmp_path / "out" / "report.html").read_text()
        for cell in (
            "cover.jpg",
            "in no emotion&#39;s folder",
            "test/angry/1.png",
            "not a picture",
            "test/fear/2.png",
            "train/fear/2.png",
            "train/happy/1.png",
            "9000x9000 pixels; at most 64,000,000 can be read",
            "train/happy/2.png",
        ):
            assert cell in report
        statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
        (finding,) = [each for each in statistics["findings"] if each["check"] == "malformed_row"]
        assert finding["count"] == 6
        assert finding["files"][:2] == ["cover.jpg", "test/angry/1.png"]
        with pytest.raises(InputError) as error:
            run_ingest(source, tmp_path / "out", checks={})
        assert "the first is file cover.jpg: in no emotion's folder" in str(error.value)
        assert not (tmp_path / "out" / "faces" / "faces.json").exists()


def test_split_duplicates_are_named_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder, each=3)
    (folder / "train/sad/2.png").write_bytes((folder / "test/sad/0.png").read_bytes())
    with pytest.raises(InputError, match=r"split_duplicates\); the first are test/sad/0\.png$"):
        run_ingest(folder, tmp_path / "out", checks={"split_duplicates": 0.01})


def test_pictures_over_the_size_limit_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud_storage: str
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 4000)
    folder = tmp_path / "fer"
    write_pictures(folder)
    (folder / "train/sad/0.png").write_bytes(b"\0" * 4001)
    remote = upload(folder, storage.join(cloud_storage, tmp_path.name))
    for source in (str(folder), str(zip_folder(folder, tmp_path / "fer.zip")), remote):
        assert len(run_ingest(source, tmp_path / "out")) == 13
        report = (tmp_path / "out" / "report.html").read_text()
        assert "train/sad/0.png" in report
        assert "larger than 4000 bytes" in report


def test_damaged_zip_member_is_a_bad_row(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    path = zip_folder(tmp_path / "fer", tmp_path / "fer.zip")
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("train/sad/0.png").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 60 : offset + 160] = bytes(100)
    path.write_bytes(data)
    assert len(run_ingest(path, tmp_path / "out")) == 13
    assert "damaged: " in (tmp_path / "out" / "report.html").read_text()
