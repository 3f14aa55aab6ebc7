"""Disjoint splits: no image and no person is in two of them; the same on every machine.

The source's own splits are kept. A split that it lacks is carved from train: the faces whose
content hash (the person's, if known) falls into that split's tenth of the hash's range, so a face
keeps its split when others are added or removed. If copies are in two splits, test keeps its own
before validation, and validation before train; the other copy is dropped.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, UNASSIGNED, VALIDATION

SPLITS = (TRAIN, VALIDATION, TEST)
# The names of their counts in faces.json, which do not depend on the source's names.
SPLIT_KEYS = ("train", "validation", "test")

# The tenth of the hash's range that a carved split takes.
_TENTH = {TEST: 0, VALIDATION: 1}
_TENTH_OF_RANGE = np.uint64(2**64 // 10)


class Assignment(NamedTuple):
    """The split of each row.

    Attributes:
        split: uint8 [n]; UNASSIGNED for a dropped row.
        carved: The splits that the source lacked.
        dropped: Dropped rows by reason.
    """

    split: NDArray[np.uint8]
    carved: tuple[int, ...]
    dropped: dict[str, int]


def content_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Compute a 64-bit BLAKE2b hash of each image's pixels.

    Among a million images, two different ones share a hash with a probability of 3e-8.

    Args:
        images: uint8 [n, H, W].

    Returns:
        uint64 [n].
    """
    return _hashes(np.ascontiguousarray(image).data for image in images)


def assign_splits(
    split: NDArray[np.uint8],
    subject: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    constant: NDArray[np.bool_],
) -> Assignment:
    """Assign every row to a split, or drop it.

    Images of one gray are dropped from train alone: in the source's own validation and test they
    stay, so that scores remain comparable.

    Args:
        split: uint8 [n], the source's splits; UNASSIGNED counts as train.
        subject: int64 [n], the person's number; -1 if unknown.
        hashes: uint64 [n], see `content_hashes`.
        constant: bool [n], whether the image is of one gray.
    """
    carved = tuple(s for s in (VALIDATION, TEST) if not (split == s).any())
    assigned = np.where(split == UNASSIGNED, TRAIN, split).astype(np.uint8)
    is_dropped = constant & (assigned == TRAIN)
    assigned[is_dropped] = UNASSIGNED
    dropped = Counter(dropped_constant=int(is_dropped.sum()))
    # Also before carving, so that no carved split takes a copy of a face in the source's splits.
    dropped.update(_drop_duplicates(assigned, subject, hashes))
    tenth = _person_or_content_hashes(subject, hashes) // _TENTH_OF_RANGE
    in_train = assigned == TRAIN
    for carved_split in carved:
        assigned[in_train & (tenth == _TENTH[carved_split])] = carved_split
    dropped.update(_drop_duplicates(assigned, subject, hashes))
    return Assignment(assigned, carved, dict(dropped))


def _drop_duplicates(
    split: NDArray[np.uint8], subject: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> dict[str, int]:
    """Unassign, in place, rows whose image or person is in a higher split; return the counts."""
    _, image = np.unique(hashes, return_inverse=True)
    _, person = np.unique(subject, return_inverse=True)
    dropped = {}
    for reason, group, known in (
        ("copy", image, np.ones(len(split), bool)),
        ("person", person, subject >= 0),
    ):
        is_duplicate = _is_in_higher_split(split, group, known)
        for lower in (TRAIN, VALIDATION):
            count = int((is_duplicate & (split == lower)).sum())
            dropped[f"dropped_{SPLIT_KEYS[lower]}_{reason}"] = count
        split[is_duplicate] = UNASSIGNED
    return dropped


def _person_or_content_hashes(
    subject: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    people, index = np.unique(subject, return_inverse=True)
    person_hashes = _hashes(f"subject {person}".encode() for person in people)
    return np.where(subject >= 0, person_hashes[index], hashes)


def _is_in_higher_split(
    split: NDArray[np.uint8], group: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which rows have another of their group in a higher split, bool [n]."""
    is_member = known & (split != UNASSIGNED)
    highest = np.zeros(int(group.max(initial=-1)) + 1, np.uint8)
    np.maximum.at(highest, group[is_member], split[is_member])
    return is_member & (split < highest[group])


def _hashes(contents: Iterable[bytes | memoryview]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
