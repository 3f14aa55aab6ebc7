"""Faces written to disk and read back; incomplete ones are rejected."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import ARRAYS, SHARD_ROWS, Faces, FacesInfo, FacesWriter, Rows

INFO = FacesInfo(kind="expression", image_size=4, source="faces.csv", fingerprint="f00")


@st.composite
def rows_of_faces(draw: st.DrawFn) -> Rows:
    count = draw(st.integers(1, 12))
    if draw(st.booleans()):
        numbers = st.floats(-100, 200, width=32) | st.just(float("nan"))
        targets = draw(arrays(np.float32, (count, 15, 2), elements=numbers))
    else:
        targets = draw(arrays(np.uint8, count))
    return Rows(
        draw(arrays(np.uint8, (count, 4, 4))),
        targets,
        draw(arrays(np.uint8, count, elements=st.sampled_from([0, 1, 2, 255]))),
        draw(arrays(np.int64, count)),
        draw(arrays(np.int64, count)),
    )


def _numbered_rows(index: np.ndarray) -> Rows:
    images = index.astype("<u4").view(np.uint8).reshape(-1, 2, 2)
    count = len(index)
    return Rows(
        images,
        (index % 7).astype(np.uint8),
        np.zeros(count, np.uint8),
        index.astype(np.int64),
        np.full(count, -1, np.int64),
    )


@given(rows=rows_of_faces(), batch=st.integers(1, 5), data=st.data())
def test_faces_writer_round_trip_keeps_every_array(tmp_path_factory, rows, batch, data):
    path = tmp_path_factory.mktemp("faces")
    with FacesWriter(path, INFO) as writer:
        for start in range(0, len(rows), batch):
            writer.append(rows.take(np.arange(start, min(start + batch, len(rows)))))
    faces = Faces(path)
    index = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), dtype=np.int64)
    taken = faces.take(index)
    assert len(faces) == len(rows)
    for name in ARRAYS:
        expected = getattr(rows, name)
        np.testing.assert_array_equal(faces.column(name), expected)
        assert faces.column(name).dtype == expected.dtype
        np.testing.assert_array_equal(getattr(taken, name), expected[index])


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """Write more rows than a shard holds; the pixels of row k are the bytes of k."""
    path = tmp_path_factory.mktemp("large")
    with FacesWriter(path, INFO.model_copy(update={"image_size": 2})) as writer:
        for start in range(0, SHARD_ROWS + 3000, 10_000):
            writer.append(_numbered_rows(np.arange(start, min(start + 10_000, SHARD_ROWS + 3000))))
    return path


def test_faces_writer_limits_the_rows_of_a_shard(large):
    faces = Faces(large)
    assert [len(shard) for shard in faces.shards()] == [SHARD_ROWS, 3000]
    np.testing.assert_array_equal(faces.column("row"), np.arange(SHARD_ROWS + 3000))


def test_take_keeps_the_order_of_the_index_across_shards(large):
    index = np.random.default_rng(0).permutation(SHARD_ROWS + 3000)[:500]
    index = np.concatenate([index, index[:3], [SHARD_ROWS, SHARD_ROWS - 1]])
    rows = Faces(large).take(index)
    np.testing.assert_array_equal(rows.row, index)
    np.testing.assert_array_equal(rows.images, _numbered_rows(index).images)


@pytest.mark.parametrize("position", [-1, SHARD_ROWS + 3000])
def test_take_rejects_positions_out_of_range(large, position):
    with pytest.raises(IndexError):
        Faces(large).take(np.array([0, position]))


def test_faces_writer_records_the_digest_of_each_file(large):
    digests = Faces(large).info.sha256
    assert len(digests) == 2 * len(ARRAYS)
    for name, digest in digests.items():
        assert hashlib.sha256((large / name).read_bytes()).hexdigest() == digest


def _write_and_interrupt(path: Path) -> None:
    with FacesWriter(path, INFO) as writer:
        writer.append(_numbered_rows(np.arange(3)))
        raise KeyboardInterrupt


def test_faces_rejects_an_interrupted_write(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _write_and_interrupt(tmp_path)
    with pytest.raises(InputError, match=r"not a faces artifact.*faces\.json"):
        Faces(tmp_path)


def test_faces_names_a_missing_or_broken_array(tmp_path):
    with FacesWriter(tmp_path, INFO.model_copy(update={"image_size": 2})) as writer:
        writer.append(_numbered_rows(np.arange(3)))
    (tmp_path / "split-00000.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="not a faces artifact"):
        Faces(tmp_path)
    (tmp_path / "split-00000.npy").unlink()
    with pytest.raises(InputError, match="split-00000"):
        Faces(tmp_path)


def test_take_names_a_truncated_images_file(tmp_path):
    with FacesWriter(tmp_path, INFO.model_copy(update={"image_size": 2})) as writer:
        writer.append(_numbered_rows(np.arange(3)))
    faces = Faces(tmp_path)
    images = tmp_path / "images-00000.npy"
    images.write_bytes(images.read_bytes()[:-1])
    np.testing.assert_array_equal(faces.take(np.arange(2)).row, [0, 1])
    with pytest.raises(InputError, match=r"images-00000\.npy: shorter than its header says"):
        faces.take(np.arange(3))


@pytest.mark.parametrize("shard_rows", [3, 100])
def test_append_rejects_rows_of_another_dtype(tmp_path, monkeypatch, shard_rows):
    monkeypatch.setattr("emotion_ai.faces.arrays.SHARD_ROWS", shard_rows)
    rows = _numbered_rows(np.arange(3))
    other = Rows(rows.images, rows.targets.astype(np.int64), rows.split, rows.row, rows.subject)
    with FacesWriter(tmp_path, INFO) as writer:
        writer.append(rows)
        with pytest.raises(ValueError, match="targets"):
            writer.append(other)
