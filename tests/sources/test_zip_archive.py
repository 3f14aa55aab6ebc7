"""Tests of `sources.zip_archive`: malicious zips are rejected before they are unpacked."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.sources.zip_archive import MAX_DIRECTORY_BYTES, MAX_MEMBERS, open_zip

MEMBER = "train/happy/0.png"


def make_zip(
    name: str = MEMBER, content: bytes = b"face", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def make_encrypted_zip() -> bytes:
    data = bytearray(make_zip())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    return bytes(data)


def make_understated_bomb() -> bytes:
    """Return a bomb whose list of members states a small size."""
    data = make_zip(content=b"\0" * 10_000_000)
    return data.replace((10_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))


def make_overlapping_zip() -> bytes:
    """Return a zip with many members that share their bytes."""
    data = make_zip(content=b"\0" * 100_000)
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = [
        data[start:end].replace(MEMBER.encode(), b"train/happy/%d.png" % k) for k in range(10)
    ]
    listing = b"".join(entries)
    tail = bytearray(data[end:])
    tail[8:16] = (10).to_bytes(2, "little") * 2 + len(listing).to_bytes(4, "little")
    return data[:start] + listing + bytes(tail)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (make_zip("../train/happy/0.png"), "'../train/happy/0.png' of the zip lies outside"),
        (make_zip("train/../../0.png"), "lies outside"),
        (make_zip("/etc/happy/0.png"), "lies outside"),
        (make_zip("..\\happy\\0.png"), "lies outside"),
        (make_zip("C:/happy/0.png"), "lies outside"),
        (make_encrypted_zip(), "'train/happy/0.png' is encrypted"),
        (make_zip(method=zipfile.ZIP_BZIP2), "is packed with method 12; expected a plain zip"),
        (make_zip(method=zipfile.ZIP_LZMA), "is packed with method 14; expected a plain zip"),
        (make_zip(content=b"\0" * 10_000_000), "that unpacks to 10,000,000, more than 200 times"),
        (make_overlapping_zip(), "that unpacks to 1,000,000, more than 200 times"),
        (make_zip()[:-30], "damaged zip"),
    ],
)
def test_open_zip_rejects_malicious_zips(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as error, open_zip("a.zip", io.BytesIO(data)):
        pass
    assert str(error.value).startswith("a.zip: ")
    assert message in str(error.value)


def test_member_reads_no_more_than_its_listed_size() -> None:
    with (
        open_zip("a.zip", io.BytesIO(make_understated_bomb())) as archive,
        archive.open(MEMBER) as file,
        pytest.raises(zipfile.BadZipFile),
    ):
        file.read(1_000_000)


def make_zip_with_members(members: int) -> bytes:
    """Return a zip that lists the same empty member many times, in as few bytes as possible."""
    data = make_zip("a", b"")
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, tail = data[start:end], bytearray(data[end:])
    # The end still states one member; zip readers do not compare it with the list.
    tail[12:16] = (members * len(entry)).to_bytes(4, "little")
    return data[:start] + entry * members + bytes(tail)


@pytest.mark.parametrize("members", [MAX_MEMBERS + 1, 5_000_000])
def test_list_of_millions_of_members_is_not_kept_in_memory(tmp_path: Path, members: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(make_zip_with_members(members))
    tracemalloc.start()
    try:
        with (
            pytest.raises(InputError, match=r"a\.zip: too many members.*500,000.*into a folder"),
            path.open("rb") as file,
            open_zip(str(path), file),
        ):
            pass
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_DIRECTORY_BYTES
    finally:
        tracemalloc.stop()


def test_open_zip_opens_a_valid_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(make_zip(content=b"face" * 100))
    with path.open("rb") as file, open_zip(str(path), file) as archive:
        assert archive.read(MEMBER) == b"face" * 100
