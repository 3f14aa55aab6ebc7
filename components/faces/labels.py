"""The emotions: two label sets with the codes of their sources, and selections from them."""

from emotion_ai.errors import InputError

LABEL_SETS: dict[str, tuple[str, ...]] = {
    # FER-2013 (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414), codes 0-6.
    "fer7": ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    # The data.csv / icml_face_data.csv of the "Emotion AI" course, codes 0-4.
    "course5": ("anger", "disgust", "sad", "happy", "surprise"),
}
# The emotions of drawn faces.
SAMPLE_LABEL_SET = "fer7"


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
    selected = [name.strip() for name in emotions.split(",")]
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
