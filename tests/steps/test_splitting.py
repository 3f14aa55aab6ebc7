"""Splits: no image and no person in two of them, whatever the source says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.faces.arrays import TEST, TRAIN, UNASSIGNED, VALIDATION
from emotion_ai.steps.prepare.splitting import assign_splits, content_hashes

SOURCE_SPLITS = st.sampled_from([TRAIN, VALIDATION, TEST, UNASSIGNED])


@st.composite
def sources(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split, subject and hash of rows, with repeated images and people."""
    few_splits = draw(st.sets(SOURCE_SPLITS, min_size=1))
    row = st.tuples(st.sampled_from(sorted(few_splits)), st.integers(-1, 15), st.integers(0, 40))
    split, subject, image = np.array(draw(st.lists(row, min_size=1, max_size=60))).T
    pool = np.random.default_rng(0).integers(0, 2**64, 41, dtype=np.uint64, endpoint=False)
    return split.astype(np.uint8), subject.astype(np.int64), pool[image]


@given(source=sources())
def test_assign_splits_keeps_images_and_people_in_one_split(source):
    split, subject, hashes = source
    result = assign_splits(split, subject, hashes, np.zeros(len(split), bool))
    kept = result.split != UNASSIGNED
    assert set(result.split[kept]) <= {TRAIN, VALIDATION, TEST}
    for first, second in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        in_first, in_second = result.split == first, result.split == second
        assert not set(hashes[in_first]) & set(hashes[in_second])
        known = subject >= 0
        assert not set(subject[in_first & known]) & set(subject[in_second & known])
    assert sum(result.dropped.values()) == (~kept).sum()


@given(source=sources())
def test_assign_splits_keeps_all_test_rows_of_the_source(source):
    split, subject, hashes = source
    result = assign_splits(split, subject, hashes, np.zeros(len(split), bool))
    assert (result.split[split == TEST] == TEST).all()
    named = split[(split == VALIDATION) | (split == TEST)]
    assert result.carved == tuple(s for s in (VALIDATION, TEST) if s not in named)


@given(source=sources(), order=st.randoms(use_true_random=False))
def test_assign_splits_ignores_the_order_of_rows(source, order):
    index = list(range(len(source[0])))
    order.shuffle(index)
    ordered = assign_splits(*source, np.zeros(len(index), bool))
    shuffled = assign_splits(*(column[index] for column in source), np.zeros(len(index), bool))
    np.testing.assert_array_equal(shuffled.split, ordered.split[index])
    assert shuffled.dropped == ordered.dropped


def test_assign_splits_carves_tenths_that_new_faces_do_not_change():
    images = np.random.default_rng(0).integers(0, 256, (6000, 4, 4), dtype=np.uint8)
    hashes, subject = content_hashes(images), np.full(6000, -1)
    unassigned, constant = np.full(6000, UNASSIGNED, np.uint8), np.zeros(6000, bool)
    whole = assign_splits(unassigned, subject, hashes, constant).split
    for split in (VALIDATION, TEST):
        assert 0.085 < (whole == split).mean() < 0.115
    part = assign_splits(unassigned[:900], subject[:900], hashes[:900], constant[:900]).split
    np.testing.assert_array_equal(part, whole[:900])


def test_assign_splits_carves_whole_people():
    hashes = np.random.default_rng(0).integers(0, 2**64, 3000, dtype=np.uint64, endpoint=False)
    subject = np.arange(3000) % 300
    unassigned = np.full(3000, UNASSIGNED, np.uint8)
    split = assign_splits(unassigned, subject, hashes, np.zeros(3000, bool)).split
    for person in range(300):
        assert len(set(split[subject == person])) == 1
    assert set(split) == {TRAIN, VALIDATION, TEST}


def test_content_hashes_are_blake2b_of_the_pixels():
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    # BLAKE2b with an 8-byte digest, read little-endian: `b2sum -l 64` of the 16 bytes.
    assert [int(value) for value in content_hashes(images)] == [
        16903989052985087732,
        15712234560039968438,
    ]
    np.testing.assert_array_equal(content_hashes(images.repeat(2, 0)[::2]), content_hashes(images))


def test_assign_splits_carves_no_copy_of_a_validation_face():
    hashes = np.zeros(2, np.uint64)  # in the tenth that test is carved from
    split = np.array([TRAIN, VALIDATION], np.uint8)
    result = assign_splits(split, np.full(2, -1), hashes, np.zeros(2, bool))
    assert list(result.split) == [UNASSIGNED, VALIDATION]
    assert result.dropped["dropped_train_copy"] == 1


def test_assign_splits_drops_constant_images_from_train_alone():
    split = np.array([TRAIN, UNASSIGNED, VALIDATION, TEST, TRAIN], np.uint8)
    hashes = np.arange(5, dtype=np.uint64)
    constant = np.array([True, True, True, True, False])
    result = assign_splits(split, np.full(5, -1), hashes, constant)
    assert list(result.split) == [UNASSIGNED, UNASSIGNED, VALIDATION, TEST, TRAIN]
    assert result.dropped["dropped_constant"] == 2
