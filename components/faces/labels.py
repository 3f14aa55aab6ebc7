"""The emotions: two label sets with the codes of their sources, words for them, selections."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from emotion_ai.errors import InputError

LABEL_SETS: dict[str, tuple[str, ...]] = {
    # FER-2013 (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414), codes 0-6.
    "fer7": ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    # The data.csv / icml_face_data.csv of the "Emotion AI" course, codes 0-4.
    "course5": ("anger", "disgust", "sad", "happy", "surprise"),
}
# The words of data sets for one emotion, in lower case; the first is its name in messages.
EMOTION_WORDS: tuple[tuple[str, ...], ...] = (
    ("angry", "anger"),
    ("contempt", "contemptuous"),
    ("disgust", "disgusted"),
    ("fear", "fearful", "afraid", "scared"),
    ("happy", "happiness", "joy", "joyful"),
    ("neutral", "neutrality"),
    ("sad", "sadness"),
    # The last is the spelling of a well-known copy of FER+.
    ("surprise", "surprised", "suprise"),
)
# The folders of RAF-DB (Li, Deng, Du 2017), which numbers seven emotions from 1.
RAF_DB_NUMBERS = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happy",
    "5": "sad",
    "6": "angry",
    "7": "neutral",
}
# The code of an emotion that is known but not in the label set.
OTHER_EMOTION = 255
_NUMBERED = re.compile(r"\d{1,3}[ _.-]+(?=\D)")
# The emotions of drawn faces.
SAMPLE_LABEL_SET = "fer7"


class EmotionReader(NamedTuple):
    """How a source's words for emotions become codes of a label set.

    Attributes:
        names: The label set's emotions, in the order of their codes.
        selection: The emotions to learn as the user wrote them; "" for all of the label set. With
            a selection other emotions are left out and counted, without one they are errors.
    """

    names: tuple[str, ...]
    selection: str = ""

    def code_of(self, word: str) -> int | None:
        """Return a word's code, `OTHER_EMOTION` to leave it out, or None if it is an error."""
        words = words_like(word)
        code = next((code for code, name in enumerate(self.names) if name in words), None)
        if code is None and words and self.selection.strip():
            return OTHER_EMOTION
        return code


def words_like(word: str) -> tuple[str, ...]:
    """Return all words for the same emotion, its name first; none if the word is unknown.

    Case and a number before the word do not count.

    Example:
        >>> words_like("0_Anger")
        ('angry', 'anger')
    """
    plain = _NUMBERED.sub("", word.strip().lower(), count=1)
    return next((words for words in EMOTION_WORDS if plain in words), ())


def label_set_names(label_set: str) -> tuple[str, ...]:
    """Return the emotions of a label set, in the order of their codes.

    Raises:
        InputError: The label set is unknown.

    Example:
        >>> label_set_names("course5")
        ('anger', 'disgust', 'sad', 'happy', 'surprise')
    """
    try:
        return LABEL_SETS[label_set]
    except KeyError:
        raise InputError(
            f"label set {label_set!r} is unknown; expected one of {', '.join(LABEL_SETS)}"
        ) from None


def select_emotions(label_set: str, emotions: str) -> tuple[str, ...]:
    """Select the emotions to learn from a label set, in the order of their codes.

    Args:
        label_set: The name of the label set.
        emotions: Names separated by commas; "" selects all.

    Raises:
        InputError: The label set or an emotion is unknown, an emotion is repeated, or fewer than
            two are selected.

    Example:
        >>> select_emotions("fer7", "sad, happy")
        ('happy', 'sad')
    """
    names = label_set_names(label_set)
    if not emotions.strip():
        return names
    selected = [_name_in(names, name.strip()) for name in emotions.split(",")]
    for name in selected:
        if name not in names:
            raise InputError(
                f"emotions: {name!r} is not in label set {label_set}; expected names of "
                f"{', '.join(names)}"
            )
        if selected.count(name) > 1:
            raise InputError(f"emotions: {name!r} is named twice")
    if len(selected) < 2:
        raise InputError("emotions: at least two are needed to tell them apart")
    return tuple(name for name in names if name in selected)


def _name_in(names: Sequence[str], word: str) -> str:
    """Return the label set's name of an emotion, or the word itself if it has none."""
    return next((name for name in names if name in words_like(word)), word)
