"""The two kinds of faces and of networks, with one record for what differs between them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import COLUMNS

# The names of kinds in releases and runs before version 0.2.
_FORMER_NAMES = {"expressions": "expression"}

KindName = Annotated[
    Literal["keypoints", "expression"],
    BeforeValidator(lambda name: _FORMER_NAMES.get(name, name)),
]


def with_current_names(by_kind: Any) -> Any:
    """Replace the former names of kinds among a dict's keys; return anything else unchanged."""
    if not isinstance(by_kind, dict):
        return by_kind
    return {_FORMER_NAMES.get(name, name): value for name, value in by_kind.items()}


@dataclass(frozen=True)
class FaceKind:
    """A kind of faces.

    Attributes:
        name: "keypoints" or "expression", the same in data, settings, metrics and files.
        image_size: Side of its images on disk, in pixels.
        image_column: The CSV column with the pixels, in lower case.
        target_columns: The CSV columns with the targets, in lower case.
        target: What one target is, as a noun.
        metric: The headline metric of its network, which gates compare.
        higher_is_better: Whether a larger value of `metric` is better.
    """

    name: KindName
    image_size: int
    image_column: str
    target_columns: tuple[str, ...]
    target: str
    metric: str
    higher_is_better: bool


KEYPOINTS = FaceKind(
    name="keypoints",
    image_size=96,
    image_column="image",
    target_columns=COLUMNS,
    target="keypoint",
    metric="rmse_px",
    higher_is_better=False,
)
EXPRESSION = FaceKind(
    name="expression",
    image_size=48,
    image_column="pixels",
    target_columns=("emotion",),
    target="emotion",
    metric="accuracy",
    higher_is_better=True,
)
KINDS: dict[str, FaceKind] = {kind.name: kind for kind in (KEYPOINTS, EXPRESSION)}


def kind_of(name: str) -> FaceKind:
    """Return the kind with this name.

    Raises:
        InputError: There is no such kind.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise InputError(f"kind {name!r} is unknown; expected {' or '.join(KINDS)}") from None


def former_names(name: str) -> list[str]:
    """Return the kind's names in earlier versions, whose releases are still read."""
    return [former for former, current in _FORMER_NAMES.items() if current == name]
