"""Settings of the gate: plain data from the environment, checked before anything is judged."""

from typing import Annotated

from pydantic import AfterValidator, Field

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.settings import StrictModel

_EMOTIONS = tuple(dict.fromkeys(name for names in LABEL_SETS.values() for name in names))


def _emotion(name: str) -> str:
    if name not in _EMOTIONS:
        raise ValueError(f"{name!r} is not an emotion; expected one of {', '.join(_EMOTIONS)}")
    return name


def _keypoint(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name!r} is not a keypoint; expected one of {', '.join(NAMES)}")
    return name


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
PixelTolerance = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Emotion = Annotated[str, AfterValidator(_emotion)]
Keypoint = Annotated[str, AfterValidator(_keypoint)]


class ExpressionFloors(StrictModel):
    """What the expression model must reach, as shares of 0 to 1; None is not asked for."""

    accuracy: Share | None = None
    balanced_accuracy: Share | None = None
    macro_f1: Share | None = None
    # Of every emotion, and of single ones, which override it.
    every_recall: Share | None = None
    recall: dict[Emotion, Share] = {}
    # A ceiling: expected calibration error.
    calibration_error: Share | None = None


class KeypointLimits(StrictModel):
    """What the keypoint model must reach; pixels are those of the 96x96 frame and are ceilings."""

    rmse_px: Pixels | None = None
    # Of every keypoint, and of single ones, which override it.
    every_rmse_px: Pixels | None = None
    keypoint_rmse_px: dict[Keypoint, Pixels] = {}
    # A floor: share of faces whose error is under 5 % of the distance of the eyes.
    share_under_5_percent_nme: Share | None = None


class Tolerances(StrictModel):
    """How far a candidate may fall behind the champion; None is not compared."""

    accuracy: Share | None = 0.01
    macro_f1: Share | None = 0.02
    recall: Share | None = None
    rmse_px: PixelTolerance | None = 0.05
    keypoint_rmse_px: PixelTolerance | None = None


class GateSettings(StrictModel):
    """The whole gate as data."""

    expression: ExpressionFloors = ExpressionFloors()
    keypoints: KeypointLimits = KeypointLimits()
    champion: Tolerances = Tolerances()
