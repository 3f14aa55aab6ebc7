"""The address of a drawn data set: `sample://N?seed=S`."""

import re

from emotion_ai.errors import InputError

MIN_FACES, MAX_FACES = 20, 1_000_000
MAX_SEED = 2**32 - 1
_URI = re.compile(r"sample://([0-9]{1,10})(?:\?seed=([0-9]{1,10}))?")


def parse_sample_uri(uri: str) -> tuple[int, int]:
    """Parse the address of a drawn data set.

    Returns:
        The number of faces, and the seed (0 by default).

    Raises:
        InputError: The address is malformed, or a number in it is out of bounds.

    Example:
        >>> parse_sample_uri("sample://2000?seed=7")
        (2000, 7)
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise InputError(f"{uri!r}: expected sample://N?seed=S, as in sample://2000?seed=0")
    faces, seed = int(match[1]), int(match[2] or 0)
    check_bounds(faces, seed)
    return faces, seed


def check_bounds(faces: int, seed: int) -> None:
    """Check the number of faces and the seed.

    Raises:
        InputError: One of them is out of bounds.
    """
    if not MIN_FACES <= faces <= MAX_FACES:
        raise InputError(f"{faces} sample faces: expected {MIN_FACES} to {MAX_FACES:,} of them")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"sample seed {seed}: expected 0 to {MAX_SEED}")
