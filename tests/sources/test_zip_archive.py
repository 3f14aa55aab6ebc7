"""Zips that mean harm are refused before their members are unpacked."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.sources.zip_archive import MAX_DIRECTORY_BYTES, MAX_MEMBERS, open_zip

MEMBER = "train/happy/0.png"


def zipped(
    name: str = MEMBER, content: bytes = b"face", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    return bytes(data)


def understated() -> bytes:
    """A bomb whose list of members says that it is small."""
    data = zipped(content=b"\0" * 10_000_000)
    return data.replace((10_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))


def overlapping() -> bytes:
    """Many members that share their bytes: the list names the same one over and over."""
    data = zipped(content=b"\0" * 100_000)
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
        (zipped("../train/happy/0.png"), "'../train/happy/0.png' of the zip lies outside"),
        (zipped("train/../../0.png"), "lies outside"),
        (zipped("/etc/happy/0.png"), "lies outside"),
        (zipped("..\\happy\\0.png"), "lies outside"),
        (zipped("C:/happy/0.png"), "lies outside"),
        (encrypted(), "'train/happy/0.png' is encrypted"),
        (zipped(method=zipfile.ZIP_BZIP2), "is packed with method 12; expected a plain zip"),
        (zipped(method=zipfile.ZIP_LZMA), "is packed with method 14; expected a plain zip"),
        (zipped(content=b"\0" * 10_000_000), "that unpacks to 10,000,000, more than 200 times"),
        (overlapping(), "that unpacks to 1,000,000, more than 200 times"),
        (zipped()[:-30], "damaged zip"),
    ],
)
def test_a_zip_that_means_harm_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as refusal, open_zip("a.zip", io.BytesIO(data)):
        pass
    assert str(refusal.value).startswith("a.zip: ")
    assert message in str(refusal.value)


def test_a_member_gives_no_more_than_the_list_says() -> None:
    with (
        open_zip("a.zip", io.BytesIO(understated())) as archive,
        archive.open(MEMBER) as file,
        pytest.raises(zipfile.BadZipFile),
    ):
        file.read(1_000_000)


def listing(members: int) -> bytes:
    """A zip that names the same empty member over and over, in as few bytes as can be."""
    data = zipped("a", b"")
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, tail = data[start:end], bytearray(data[end:])
    # What the end says of their number is one: nobody who reads a zip compares it.
    tail[12:16] = (members * len(entry)).to_bytes(4, "little")
    return data[:start] + entry * members + bytes(tail)


@pytest.mark.parametrize("members", [MAX_MEMBERS + 1, 5_000_000])
def test_a_list_of_millions_of_members_is_not_held(tmp_path: Path, members: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(listing(members))
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


def test_an_honest_zip_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(content=b"face" * 100))
    with path.open("rb") as file, open_zip(str(path), file) as archive:
        assert archive.read(MEMBER) == b"face" * 100
