"""Tests of `sources`: files as other systems and programs leave them are read, or named."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Rows
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import open_table, read_blocks
from emotion_ai.sources.uri import fingerprint, subjects_uri
from emotion_ai.sources.xz_file import XzFile

from support.face_csv import FER7, pixel_text, random_images
from support.ingest_step import run_ingest
from support.picture_folders import EMOTIONS, write_pictures, zip_folder

IMAGES = random_images(3, 48)
PIXELS = [pixel_text(image) for image in IMAGES]
LINES = ["emotion,pixels,Usage"]
LINES += [f"{code},{text},Training" for code, text in zip((0, 6, 3), PIXELS, strict=True)]
TEXT = "\n".join(LINES) + "\n"
# What macOS puts beside a file on foreign disks and in zips.
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(80)


def read_rows(path: Path) -> Rows:
    (block,) = read_blocks(open_table(str(path), "expression"), FER7, DataChecks())
    assert block.bad == []
    return block.rows


def assert_whole(rows: Rows) -> None:
    assert np.array_equal(rows.images, IMAGES)
    assert rows.targets.tolist() == [0, 6, 3]
    assert rows.split.tolist() == [0, 0, 0]
    assert rows.row.tolist() == [0, 1, 2]


def packed_tar(mode: str, names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name in names:
            data = TEXT.encode() if name.endswith("fer2013.csv") else b"@article{}"
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def packed_zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# The order of Kaggle's fer2013.tar.gz.
KAGGLE = ["fer2013/fer2013.csv", "fer2013/README", "fer2013/fer2013.bib"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("fer2013.csv.bz2", bz2.compress(TEXT.encode())),
        ("fer2013.csv.xz", lzma.compress(TEXT.encode())),
        ("strongest.csv.xz", lzma.compress(TEXT.encode(), preset=9 | lzma.PRESET_EXTREME)),
        (
            "streams.csv.xz",
            lzma.compress(TEXT[:3000].encode()) + bytes(8) + lzma.compress(TEXT[3000:].encode()),
        ),
        ("fer2013.tar", packed_tar("w:", KAGGLE)),
        ("fer2013.tar.gz", packed_tar("w:gz", KAGGLE)),
        ("fer2013.tgz", packed_tar("w:gz", ["._fer2013.csv", *reversed(KAGGLE)])),
        ("fer2013.tar.bz2", packed_tar("w:bz2", KAGGLE)),
        ("fer2013.tar.xz", packed_tar("w:xz", KAGGLE)),
        ("long.tar.gz", packed_tar("w:gz", ["x" * 150, "grün/fer2013.csv"])),
        ("utf16.csv", TEXT.encode("utf-16")),
        ("utf16be.csv", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("utf16.csv.gz", gzip.compress(TEXT.replace("\n", "\r\n").encode("utf-16"))),
        ("mac.csv", TEXT.replace("\n", "\r").encode()),
        ("semicolon.csv", TEXT.replace(",", ";").encode()),
        ("excel.csv", b"\xef\xbb\xbfsep=;\r\n" + TEXT.replace(",", ";").encode()),
        ("tab.csv", TEXT.replace(",", "\t").encode("utf-16")),
    ],
)
def test_csv_is_read_as_other_systems_leave_it(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert_whole(read_rows(path))
    assert subjects_uri(str(path)) == f"{tmp_path}/{name.split('.')[0]}.subjects.csv"


@pytest.mark.parametrize(
    "beside",
    [
        "._fer2013.csv",
        "fer2013/._fer2013.csv",
        "fer2013/__MACOSX/._fer2013.csv",
        "fer2013\\__MACOSX\\._fer2013.csv",
        ".ipynb_checkpoints/fer2013-checkpoint.csv",
        "$RECYCLE.BIN/fer2013.csv",
    ],
)
def test_what_file_managers_add_to_a_zip_is_no_csv(tmp_path: Path, beside: str) -> None:
    path = tmp_path / "fer2013.zip"
    path.write_bytes(packed_zip({"fer2013/fer2013.csv": TEXT.encode(), beside: APPLE_DOUBLE}))
    assert_whole(read_rows(path))


def test_decimal_commas_are_read_where_semicolons_separate(tmp_path: Path) -> None:
    from emotion_ai.faces.keypoints import COLUMNS

    image = random_images(1, 96)[0]
    cells = [f"{12.5 + k}".replace(".", ",") for k in range(30)]
    header, row = [*COLUMNS, "Image"], [*cells, pixel_text(image)]
    (tmp_path / "k.csv").write_text(";".join(header) + "\n" + ";".join(row) + "\n")
    (block,) = read_blocks(open_table(str(tmp_path / "k.csv"), "keypoints"), FER7, DataChecks())
    assert block.bad == []
    assert block.rows.targets.ravel().tolist() == [12.5 + k for k in range(30)]
    assert np.array_equal(block.rows.images[0], image)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1" + bytes(50), "a Parquet file; save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(50), "an Excel workbook (.xls); save it"),
        (
            packed_zip({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}),
            "an Excel workbook (.xlsx); save it as CSV",
        ),
        (packed_zip({"mimetype": b"x", "content.xml": b"<x/>"}), "an OpenDocument file; save it"),
        (packed_zip({"pixels.npy": b"x"}), "NumPy arrays (.npz); save them as CSV"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7-Zip archive; unpack it"),
        (b"Rar!\x1a\7\1" + bytes(50), "a RAR archive; unpack it"),
        (b"\x28\xb5\x2f\xfd" + bytes(50), "compressed with Zstandard; unpack it"),
        (lzma.compress(TEXT.encode(), lzma.FORMAT_ALONE), "compressed with LZMA; unpack it"),
        (gzip.compress(gzip.compress(TEXT.encode())), "compressed twice; unpack it once"),
        (gzip.compress(packed_zip({"a.csv": b"x"})), "a zip inside another archive"),
        (packed_zip({}), "an empty zip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file; save it as CSV"),
        (b"\x80\x04\x95" + bytes(50), "a pickle, which is never read; save it as CSV"),
        (b"\n<!DOCTYPE html><title>Sign in", "a web page or XML, perhaps a login page"),
        (b'[{"emotion": 0}]', "JSON; save it as CSV"),
        (b"\xff\xfe\0\0" + TEXT.encode("utf-32-le"), "text in UTF-32; save it as UTF-8"),
        (b"\0\0\xfe\xff" + TEXT.encode("utf-32-be"), "text in UTF-32; save it as UTF-8"),
        (TEXT.encode("utf-32-le"), "UTF-32 without a byte order mark"),
        (TEXT.encode("utf-16-le"), "or UTF-32 without a byte order mark; expected a CSV: save it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS; fetch the file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a picture; name the folder"),
        (packed_tar("w:gz", ["fer/happy/0.png"]), "expected one CSV in the tar, found none"),
        (
            packed_tar("w:gz", ["fer2013.csv", "icml.csv"]),
            "expected one CSV in the tar, found fer2013.csv, icml.csv; unpack the right one",
        ),
        (packed_tar("w:gz", KAGGLE)[:200], "damaged in its first MiB"),
        (bz2.compress(TEXT.encode())[:300] + bytes(300), "damaged in its first MiB"),
        (lzma.compress(TEXT.encode())[:300] + bytes(300), "damaged in its first MiB"),
        (
            bz2.compress(TEXT.encode() + b"\n" * 5_000_000),
            "expands to more than 100 times its size",
        ),
        (packed_zip({"a.csv": b"7\n" * 10_000_000}), "more than 200 times as many"),
    ],
    # Archives differ by the time in them.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_what_is_no_csv_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        run_ingest(path, tmp_path / "out")
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_tar_of_a_bomb_before_the_csv_is_rejected(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in (("zeros", bytes(50_000_000)), ("fer2013.csv", TEXT.encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (tmp_path / "fer.tar.gz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="expands to more than 100 times its size"):
        read_rows(tmp_path / "fer.tar.gz")


def asking_for_memory(packed: bytes, code: int) -> bytes:
    """An .xz whose first block asks for a larger dictionary (The .xz File Format, 5.3.1)."""
    start, end = 12, 12 + 4 * (packed[12] + 1)
    header = bytearray(packed[start : end - 4])
    # After the filter's number and the size of its properties.
    header[header.index(b"\x21\x01") + 2] = code
    return packed[:start] + header + zlib.crc32(header).to_bytes(4, "little") + packed[end:]


@pytest.mark.parametrize(("code", "is_read"), [(28, True), (30, False), (40, False)])
@pytest.mark.parametrize("before", [b"", lzma.compress(TEXT[:20].encode())], ids=["first", "later"])
def test_memory_for_unpacking_xz_is_bounded(
    tmp_path: Path, before: bytes, code: int, is_read: bool
) -> None:
    text = TEXT[20:] if before else TEXT
    path = tmp_path / "fer2013.csv.xz"
    # Dictionaries of 64 MiB, 128 MiB and 4 GiB.
    path.write_bytes(before + asking_for_memory(lzma.compress(text.encode()), code))
    if is_read:
        assert_whole(read_rows(path))
        return
    with pytest.raises(InputError) as error:
        read_rows(path)
    assert str(error.value) == (
        f"{path}: unpacking it takes more than 128 MiB of memory; unpack it yourself (xz -d) or "
        "pack it anew (xz -9)"
    )


def test_xz_is_read_from_any_position() -> None:
    content = random_images(1, 96)[0].tobytes() * 40
    packed = lzma.compress(content[:100_000]) + lzma.compress(content[100_000:])
    file = XzFile("faces.csv.xz", io.BytesIO(packed))
    for offset in (0, 99_990, 5, 300_000, 0):
        assert file.seek(offset) == file.tell() == offset
        read = b""
        while len(read) < 20 and (data := file.read(20 - len(read))):
            read += data
        assert read == content[offset : offset + 20]
    assert file.seek(len(content) + 7) == len(content)
    assert file.read(5) == file.read(0) == b""


def windows_zip(folder: Path, path: Path) -> Path:
    """Pack a folder as PowerShell 5 does, with backslashes and members for folders."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            name = "fer\\" + str(file.relative_to(folder)).replace("/", "\\")
            archive.writestr(name if file.is_file() else name + "\\", _content(file))
    return path


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


@pytest.mark.parametrize("form", ["folder", "zip", "Windows zip"])
def test_folders_with_what_file_managers_add_hold_the_same_faces(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "fer"
    names = write_pictures(folder)
    clean = fingerprint(str(folder))
    for added in ("Thumbs.db", "train/happy/Thumbs.db", "train/desktop.ini", "__MACOSX/._train"):
        (folder / added).parent.mkdir(exist_ok=True)
        (folder / added).write_bytes(APPLE_DOUBLE)
    (folder / "train/sad/@eaDir").mkdir()
    (folder / "train/sad/@eaDir/0.png").write_bytes(APPLE_DOUBLE)
    source = folder
    if form != "folder":
        pack = windows_zip if form == "Windows zip" else zip_folder
        source = pack(folder, tmp_path / "fer.zip")
    faces = run_ingest(source, tmp_path / "out", checks={})
    rows = faces.take(np.arange(14))
    assert np.array_equal(rows.images, random_images(14, 48))
    assert [EMOTIONS[code] for code in rows.targets] == [n.split("/")[1] for n in names]
    assert rows.split.tolist() == [2] * 7 + [0] * 7
    if form == "folder":
        assert fingerprint(str(folder)) == clean


@pytest.mark.parametrize("root", ["", "DATASET/"])
@pytest.mark.parametrize("lists", [["labels.csv"], ["train_labels.csv", "DATASET/test_labels.csv"]])
def test_zip_of_pictures_may_hold_lists_of_labels(
    tmp_path: Path, root: str, lists: list[str]
) -> None:
    write_pictures(tmp_path / "fer")
    path = zip_folder(tmp_path / "fer", tmp_path / "fer.zip", root)
    with zipfile.ZipFile(path, "a") as archive:
        for name in lists if root else [Path(name).name for name in lists]:
            archive.writestr(name, "image,label\n0.png,4\n")
    faces = run_ingest(path, tmp_path / "out")
    assert len(faces) == 14
    assert faces.info.counts["emotion/happy"] == 2
    report = (tmp_path / "out" / "report.html").read_text()
    skipped = sorted(Path(name).name for name in lists)
    assert f"{len(lists)}: {', '.join(skipped)}" in report
    assert "in no emotion&#39;s folder" not in report
