"""The address of a drawn data set: `sample://N?seed=S`."""

import re

from emotion_ai.errors import InputError

SCHEME = "sample://"
MINIMUM_FACES, MAXIMUM_FACES = 20, 1_000_000
MAXIMUM_SEED = 2**32 - 1
_URI = re.compile(r"sample://([0-9]{1,10})(?:\?seed=([0-9]{1,10}))?")


def parse_sample_uri(uri: str) -> tuple[int, int]:
    """How many faces and from which seed (0 if not named). Raises `InputError`.

    Example:
        parse_sample_uri("sample://2000?seed=7")  # (2000, 7)
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise InputError(f"{uri!r}: expected sample://N?seed=S, as in sample://2000?seed=0")
    faces, seed = int(match[1]), int(match[2] or 0)
    check_bounds(faces, seed)
    return faces, seed


def check_bounds(faces: int, seed: int) -> None:
    """Raises `InputError` for a number of faces or a seed out of bounds."""
    if not MINIMUM_FACES <= faces <= MAXIMUM_FACES:
        raise InputError(
            f"{faces} sample faces: expected {MINIMUM_FACES} to {MAXIMUM_FACES:,} of them"
        )
    if not 0 <= seed <= MAXIMUM_SEED:
        raise InputError(f"sample seed {seed}: expected 0 to {MAXIMUM_SEED}")
