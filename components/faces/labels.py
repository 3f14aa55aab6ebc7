"""The emotions: two label sets with the codes of their sources, and subsets of them."""

from emotion_ai.errors import InputError

LABEL_SETS: dict[str, tuple[str, ...]] = {
    # FER-2013 (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414), codes 0-6.
    "fer7": ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    # The data.csv / icml_face_data.csv of the "Emotion AI" course, codes 0-4.
    "course5": ("anger", "disgust", "sad", "happy", "surprise"),
}


def label_set_names(label_set: str) -> tuple[str, ...]:
    """Emotion names of a label set, in the order of their codes. Raises `InputError`."""
    try:
        return LABEL_SETS[label_set]
    except KeyError:
        raise InputError(
            f"label set {label_set!r} is unknown; expected one of {', '.join(LABEL_SETS)}"
        ) from None


def select_emotions(label_set: str, emotions: str) -> tuple[str, ...]:
    """The emotions to learn: all of the label set for "", else the named ones in code order.

    Raises `InputError` for an unknown or repeated name and for fewer than two emotions.
    """
    names = label_set_names(label_set)
    if not emotions.strip():
        return names
    wanted = [name.strip() for name in emotions.split(",")]
    for name in wanted:
        if name not in names:
            raise InputError(
                f"emotions: {name!r} is not in label set {label_set}; expected names of "
                f"{', '.join(names)}"
            )
        if wanted.count(name) > 1:
            raise InputError(f"emotions: {name!r} is named twice")
    if len(wanted) < 2:
        raise InputError("emotions: at least two are needed to tell them apart")
    return tuple(name for name in names if name in wanted)
