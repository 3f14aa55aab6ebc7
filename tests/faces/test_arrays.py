"""Faces survive the way to disk and back, and half-written ones are never read."""

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


@given(rows=rows_of_faces(), batch=st.integers(1, 5), data=st.data())
def test_a_round_trip_keeps_every_array(tmp_path_factory, rows, batch, data):
    path = tmp_path_factory.mktemp("faces")
    with FacesWriter(path, INFO) as writer:
        for start in range(0, len(rows), batch):
            writer.append(rows.take(np.arange(start, min(start + batch, len(rows)))))
    faces = Faces(path)
    index = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), dtype=np.int64)
    taken = faces.take(index)
    assert len(faces) == len(rows)
    for name in ARRAYS:
        wanted = getattr(rows, name)
        np.testing.assert_array_equal(faces.column(name), wanted)
        assert faces.column(name).dtype == wanted.dtype
        np.testing.assert_array_equal(getattr(taken, name), wanted[index])


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """More rows than a shard holds; row k has pixels that spell k."""
    path = tmp_path_factory.mktemp("large")
    with FacesWriter(path, INFO.model_copy(update={"image_size": 2})) as writer:
        for start in range(0, SHARD_ROWS + 3000, 10_000):
            writer.append(_numbered(np.arange(start, min(start + 10_000, SHARD_ROWS + 3000))))
    return path


def test_shards_hold_no_more_than_they_may(large):
    faces = Faces(large)
    assert [len(shard) for shard in faces.shards()] == [SHARD_ROWS, 3000]
    np.testing.assert_array_equal(faces.column("row"), np.arange(SHARD_ROWS + 3000))


def test_rows_come_in_the_order_asked_for_across_shards(large):
    index = np.random.default_rng(0).permutation(SHARD_ROWS + 3000)[:500]
    index = np.concatenate([index, index[:3], [SHARD_ROWS, SHARD_ROWS - 1]])
    rows = Faces(large).take(index)
    np.testing.assert_array_equal(rows.row, index)
    np.testing.assert_array_equal(rows.images, _numbered(index).images)


@pytest.mark.parametrize("position", [-1, SHARD_ROWS + 3000])
def test_a_position_that_is_not_there_is_an_error(large, position):
    with pytest.raises(IndexError):
        Faces(large).take(np.array([0, position]))


def test_the_recorded_digests_are_those_of_the_files(large):
    digests = Faces(large).info.sha256
    assert len(digests) == 2 * len(ARRAYS)
    for name, digest in digests.items():
        assert hashlib.sha256((large / name).read_bytes()).hexdigest() == digest


def _write_and_stop(path: Path) -> None:
    with FacesWriter(path, INFO) as writer:
        writer.append(_numbered(np.arange(3)))
        raise KeyboardInterrupt


def test_half_written_faces_are_no_faces(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _write_and_stop(tmp_path)
    with pytest.raises(InputError, match=r"not a faces artifact.*faces\.json"):
        Faces(tmp_path)


def test_a_missing_or_broken_array_is_named(tmp_path):
    with FacesWriter(tmp_path, INFO) as writer:
        writer.append(_numbered(np.arange(3)))
    (tmp_path / "split-00000.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="not a faces artifact"):
        Faces(tmp_path)
    (tmp_path / "split-00000.npy").unlink()
    with pytest.raises(InputError, match="split-00000"):
        Faces(tmp_path)


def test_images_that_were_cut_short_are_named(tmp_path):
    with FacesWriter(tmp_path, INFO) as writer:
        writer.append(_numbered(np.arange(3)))
    faces = Faces(tmp_path)
    images = tmp_path / "images-00000.npy"
    images.write_bytes(images.read_bytes()[:-1])
    np.testing.assert_array_equal(faces.take(np.arange(2)).row, [0, 1])
    with pytest.raises(InputError, match=r"images-00000\.npy: shorter than its header says"):
        faces.take(np.arange(3))


def test_rows_of_another_type_are_refused(tmp_path):
    rows = _numbered(np.arange(3))
    other = Rows(rows.images, rows.targets.astype(np.int64), rows.split, rows.row, rows.subject)
    with FacesWriter(tmp_path, INFO) as writer:
        writer.append(rows)
        with pytest.raises(ValueError, match="targets"):
            writer.append(other)


def _numbered(index: np.ndarray) -> Rows:
    images = index.astype("<u4").view(np.uint8).reshape(-1, 2, 2)
    count = len(index)
    return Rows(
        images,
        (index % 7).astype(np.uint8),
        np.zeros(count, np.uint8),
        index.astype(np.int64),
        np.full(count, -1, np.int64),
    )
