"""Splits are honest: no image and no person on both sides, whatever the source says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.faces.arrays import TEST, TRAIN, UNASSIGNED, VALIDATION
from emotion_ai.steps.prepare.splitting import assign_splits, content_hashes

SOURCE_SPLITS = st.sampled_from([TRAIN, VALIDATION, TEST, UNASSIGNED])


@st.composite
def sources(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split, subject and hash of rows, with copies and people that come back."""
    few_splits = draw(st.sets(SOURCE_SPLITS, min_size=1))
    row = st.tuples(st.sampled_from(sorted(few_splits)), st.integers(-1, 15), st.integers(0, 40))
    split, subject, image = np.array(draw(st.lists(row, min_size=1, max_size=60))).T
    pool = np.random.default_rng(0).integers(0, 2**64, 41, dtype=np.uint64, endpoint=False)
    return split.astype(np.uint8), subject.astype(np.int64), pool[image]


@given(source=sources())
def test_no_image_and_no_person_is_on_two_sides(source):
    split, subject, hashes = source
    result = assign_splits(split, subject, hashes, np.zeros(len(split), bool))
    kept = result.split != UNASSIGNED
    assert set(result.split[kept]) <= {TRAIN, VALIDATION, TEST}
    for one, other in ((TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)):
        here, there = result.split == one, result.split == other
        assert not set(hashes[here]) & set(hashes[there])
        assert not set(subject[here & (subject >= 0)]) & set(subject[there & (subject >= 0)])
    assert sum(result.dropped.values()) == (~kept).sum()


@given(source=sources())
def test_the_sources_own_test_rows_all_stay(source):
    split, subject, hashes = source
    result = assign_splits(split, subject, hashes, np.zeros(len(split), bool))
    assert (result.split[split == TEST] == TEST).all()
    named = split[(split == VALIDATION) | (split == TEST)]
    assert result.carved == tuple(s for s in (VALIDATION, TEST) if s not in named)


@given(source=sources(), order=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(source, order):
    index = list(range(len(source[0])))
    order.shuffle(index)
    straight = assign_splits(*source, np.zeros(len(index), bool))
    shuffled = assign_splits(*(column[index] for column in source), np.zeros(len(index), bool))
    np.testing.assert_array_equal(shuffled.split, straight.split[index])
    assert shuffled.dropped == straight.dropped


def test_a_tenth_is_carved_and_keeps_its_split_as_faces_come():
    images = np.random.default_rng(0).integers(0, 256, (6000, 4, 4), dtype=np.uint8)
    hashes, nobody = content_hashes(images), np.full(6000, -1)
    unassigned, even = np.full(6000, UNASSIGNED, np.uint8), np.zeros(6000, bool)
    whole = assign_splits(unassigned, nobody, hashes, even).split
    for split in (VALIDATION, TEST):
        assert 0.085 < (whole == split).mean() < 0.115
    part = assign_splits(unassigned[:900], nobody[:900], hashes[:900], even[:900]).split
    np.testing.assert_array_equal(part, whole[:900])


def test_people_are_carved_whole():
    hashes = np.random.default_rng(0).integers(0, 2**64, 3000, dtype=np.uint64, endpoint=False)
    subject = np.arange(3000) % 300
    unassigned = np.full(3000, UNASSIGNED, np.uint8)
    split = assign_splits(unassigned, subject, hashes, np.zeros(3000, bool)).split
    for person in range(300):
        assert len(set(split[subject == person])) == 1
    assert set(split) == {TRAIN, VALIDATION, TEST}


def test_the_hash_is_of_the_pixels_alone_and_the_same_everywhere():
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    # BLAKE2b with an 8-byte digest, read little-endian: `b2sum -l 64` of the 16 bytes.
    assert [int(value) for value in content_hashes(images)] == [
        16903989052985087732,
        15712234560039968438,
    ]
    np.testing.assert_array_equal(content_hashes(images.repeat(2, 0)[::2]), content_hashes(images))


def test_a_face_of_the_sources_validation_is_never_carved_into_test():
    hashes = np.zeros(2, np.uint64)  # in the tenth that test is carved from
    split = np.array([TRAIN, VALIDATION], np.uint8)
    result = assign_splits(split, np.full(2, -1), hashes, np.zeros(2, bool))
    assert list(result.split) == [UNASSIGNED, VALIDATION]
    assert result.dropped["dropped_train_copy"] == 1


def test_even_images_stay_only_where_the_source_tests_on_them():
    split = np.array([TRAIN, UNASSIGNED, VALIDATION, TEST, TRAIN], np.uint8)
    hashes = np.arange(5, dtype=np.uint64)
    constant = np.array([True, True, True, True, False])
    result = assign_splits(split, np.full(5, -1), hashes, constant)
    assert list(result.split) == [UNASSIGNED, UNASSIGNED, VALIDATION, TEST, TRAIN]
    assert result.dropped["dropped_constant"] == 2
