"""Honest splits: no image and no person on both sides, the same on every machine.

A split that the source names is obeyed. A split that it lacks is carved from train: the faces whose
content hash (a person's, where known) falls into that split's tenth of the hash's range, so a face
keeps its split when others come or go. Test counts more than validation, and validation more than
train: of copies on two sides, the one on the lesser side goes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, UNASSIGNED, VALIDATION

SPLITS = (TRAIN, VALIDATION, TEST)
# What their counts are called in faces.json, whatever the source calls them.
SPLIT_KEYS = ("train", "validation", "test")

# Where in the hash's range, counted in tenths, a carved split lies.
_TENTH = {TEST: 0, VALIDATION: 1}
_TENTH_OF_RANGE = np.uint64(2**64 // 10)


class Assignment(NamedTuple):
    """Which split each row belongs to."""

    split: NDArray[np.uint8]  # [n]; UNASSIGNED = dropped
    carved: tuple[int, ...]  # the splits that the source lacked
    dropped: dict[str, int]  # rows by reason


def content_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """A 64-bit BLAKE2b hash of each image's pixels, images [n, H, W].

    Among a million images, two different ones share a hash with a chance of 3 in 10^8.
    """
    return _hashes(np.ascontiguousarray(image).data for image in images)


def assign_splits(
    split: NDArray[np.uint8],
    subject: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    constant: NDArray[np.bool_],
) -> Assignment:
    """Assign every row, all arrays [n], to a split or drop it.

    Rows without a split (UNASSIGNED) count as train. Images of one gray are dropped, except where
    the source itself put them into validation or test: there the score stays comparable.
    """
    carved = tuple(s for s in (VALIDATION, TEST) if not (split == s).any())
    assigned = np.where(split == UNASSIGNED, TRAIN, split).astype(np.uint8)
    dull = constant & (assigned == TRAIN)
    assigned[dull] = UNASSIGNED
    dropped = Counter(dropped_constant=int(dull.sum()))
    # Before carving, so that no carved split takes a face that the source's own splits show.
    dropped.update(_drop_lesser_sides(assigned, subject, hashes))
    tenth = _person_or_content(subject, hashes) // _TENTH_OF_RANGE
    pool = assigned == TRAIN
    for one in carved:
        assigned[pool & (tenth == _TENTH[one])] = one
    dropped.update(_drop_lesser_sides(assigned, subject, hashes))
    return Assignment(assigned, carved, dict(dropped))


def _drop_lesser_sides(
    split: NDArray[np.uint8], subject: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> dict[str, int]:
    """Unassign, in place, what a split that counts more shows too; rows by reason."""
    _, image = np.unique(hashes, return_inverse=True)
    _, person = np.unique(subject, return_inverse=True)
    dropped = {}
    for reason, group, known in (
        ("copy", image, np.ones(len(split), bool)),
        ("person", person, subject >= 0),
    ):
        lesser = _on_lesser_side(split, group, known)
        for side in (TRAIN, VALIDATION):
            dropped[f"dropped_{SPLIT_KEYS[side]}_{reason}"] = int((lesser & (split == side)).sum())
        split[lesser] = UNASSIGNED
    return dropped


def _person_or_content(
    subject: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    people, index = np.unique(subject, return_inverse=True)
    of_people = _hashes(f"subject {person}".encode() for person in people)
    return np.where(subject >= 0, of_people[index], hashes)


def _on_lesser_side(
    split: NDArray[np.uint8], group: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Rows that have another of their group in a split that counts more."""
    here = known & (split != UNASSIGNED)
    highest = np.zeros(int(group.max(initial=-1)) + 1, np.uint8)
    np.maximum.at(highest, group[here], split[here])
    return here & (split < highest[group])


def _hashes(contents: Iterable[bytes | memoryview]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
