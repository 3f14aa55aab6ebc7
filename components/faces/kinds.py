"""The two kinds of faces, and so of networks: what differs between them, in one record each."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import COLUMNS

# What releases and runs called a kind before version 0.2.
_FORMER_NAMES = {"expressions": "expression"}

KindName = Annotated[
    Literal["keypoints", "expression"],
    BeforeValidator(lambda name: _FORMER_NAMES.get(name, name)),
]


def with_current_names(by_kind: Any) -> Any:
    """A dict by kind, as it stands in a release of any version, with today's names of kinds."""
    if not isinstance(by_kind, dict):
        return by_kind
    return {_FORMER_NAMES.get(name, name): value for name, value in by_kind.items()}


@dataclass(frozen=True)
class FaceKind:
    """A kind of faces.

    Args:
        name: "keypoints" or "expression", the same in data, settings, metrics and files.
        image_size: pixels a side of its images on disk.
        image_column: the CSV column with the pixels, in lower case.
        target_columns: the CSV columns with what is to be learnt, in lower case.
        target: what a row carries, as a noun.
        metric: the headline metric of its network, the one that gates compare.
        higher_is_better: whether a larger value of `metric` is the better one.
    """

    name: KindName
    image_size: int
    image_column: str
    target_columns: tuple[str, ...]
    target: str
    metric: str
    higher_is_better: bool


KEYPOINTS = FaceKind("keypoints", 96, "image", COLUMNS, "keypoint", "rmse_px", False)
EXPRESSION = FaceKind("expression", 48, "pixels", ("emotion",), "emotion", "accuracy", True)
KINDS: dict[str, FaceKind] = {kind.name: kind for kind in (KEYPOINTS, EXPRESSION)}


def kind_of(name: str) -> FaceKind:
    """The kind of this name. Raises `InputError` for any other."""
    try:
        return KINDS[name]
    except KeyError:
        raise InputError(f"kind {name!r} is unknown; expected {' or '.join(KINDS)}") from None


def former_names(name: str) -> list[str]:
    """What the kind was called by earlier versions, in files that are still read."""
    return [former for former, current in _FORMER_NAMES.items() if current == name]
