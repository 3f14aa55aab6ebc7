"""Array files whose headers claim what is not there; each is refused before memory is taken."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.storage.array_files import map_array, unpack_arrays

LIMIT = 1 << 20
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def array_file(shape: str, dtype: str = "<f4", content: bytes = b"") -> bytes:
    """The bytes of an .npy file whose header says anything."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def archive_of(content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("values.npy", content)
    return buffer.getvalue()


LIES = {
    "2^40 values": array_file(f"({2**40},)"),
    "2^62 values": array_file(f"({2**31}, {2**31})"),
    "more than a number of the machine": array_file(f"({10**30},)"),
    "2^40 rows without bytes": array_file(f"({2**40}, 0)"),
    "values without bytes": array_file(f"({2**40},)", "<U0"),
    "negative": array_file("(-1, -4)", content=VALUES.tobytes()),
    "fewer than are there": array_file("(2, 4)", content=VALUES.tobytes()),
    "objects": array_file("(1,)", "|O", b"cos\nsystem\n"),
    "no shape": array_file("'many'"),
    "a nested header": array_file("-" * 100 + "1"),
    "another version": b"\x93NUMPY\x09\x09" + b"\x00" * 120,
    "nothing": b"",
}


@pytest.mark.parametrize("name", LIES)
def test_what_a_header_claims_is_compared_with_the_bytes_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="damaged arrays: "):
        unpack_arrays(archive_of(LIES[name]), LIMIT)
    path = tmp_path / "values.npy"
    path.write_bytes(LIES[name])
    with pytest.raises(ValueError, match=r"values\.npy: damaged array: "):
        map_array(path)


def test_arrays_are_read_as_numpy_wrote_them(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=VALUES, b=np.array(["happy", "sad"]), c=VALUES.T, d=np.int64(7))
    arrays = unpack_arrays(buffer.getvalue(), LIMIT)
    assert list(arrays) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(arrays["a"], VALUES)
    np.testing.assert_array_equal(arrays["c"], VALUES.T)
    assert (arrays["b"].tolist(), arrays["d"].item()) == (["happy", "sad"], 7)
    np.save(tmp_path / "values.npy", VALUES)
    mapped = map_array(tmp_path / "values.npy")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, VALUES)


def test_an_archive_that_unpacks_to_more_than_its_limit_is_refused() -> None:
    zeros = archive_of(array_file(f"({LIMIT},)", content=bytes(4 * LIMIT)), zipfile.ZIP_DEFLATED)
    assert len(zeros) < LIMIT / 100
    with pytest.raises(ValueError, match=f"unpacks to more than {LIMIT} bytes"):
        unpack_arrays(zeros, LIMIT)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_that_states_a_small_size_is_refused(method: int) -> None:
    content = bytearray(archive_of(bytes(4 * LIMIT), method))
    # Only what a member states is limited, and these unpack all that they have.
    size = (4 * LIMIT).to_bytes(4, "little")
    assert content.count(size) == 2
    content = content.replace(size, (100).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="packed otherwise than NumPy does"):
        unpack_arrays(bytes(content), LIMIT)


def test_a_damaged_archive_is_refused() -> None:
    content = archive_of(array_file("(3, 4)", content=VALUES.tobytes()), zipfile.ZIP_DEFLATED)
    content = bytearray(content)
    content[45:60] = b"\xff" * 15
    with pytest.raises(ValueError, match="damaged arrays: "):
        unpack_arrays(bytes(content), LIMIT)
