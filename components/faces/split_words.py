"""The words of data sets for train, validation and test, in columns and in names of folders."""

from collections.abc import Mapping

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION

# In lower case.
SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "valid": VALIDATION,
    "val": VALIDATION,
    "dev": VALIDATION,
    "publictest": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "privatetest": TEST,
}
_FER_WORDS = {"publictest", "privatetest"}


def name_splits(words: Mapping[str, int]) -> tuple[str, str, str]:
    """Return a source's names for train, validation and test.

    Args:
        words: How many rows have each of the source's words, as it writes them.

    Returns:
        The commonest word for each; for a split that the source lacks, FER-2013's word if it has
        another one of those, else the plain one.
    """
    fer = any(word.lower() in _FER_WORDS for word in words)
    names = ["Training", "PublicTest", "PrivateTest"] if fer else ["train", "validation", "test"]
    # The commonest last, so that it stays.
    for word in sorted(words, key=lambda word: (words[word], word)):
        names[SPLIT_WORDS[word.lower()]] = word
    return names[TRAIN], names[VALIDATION], names[TEST]


def split_of(name: str) -> int:
    """Return the split that a source's word means, also with a note: "test carved from train".

    Args:
        name: One of the names in `FacesInfo.split_names`; of any other one nothing is known, and it
            counts as train.
    """
    word, _, _ = name.partition(" ")
    return SPLIT_WORDS.get(word.lower(), TRAIN)
