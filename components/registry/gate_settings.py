"""Settings of the gate: plain data from the environment, validated before the evaluation."""

from typing import Annotated

from pydantic import AfterValidator, Field

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.settings import StrictModel

_EMOTIONS = tuple(dict.fromkeys(name for names in LABEL_SETS.values() for name in names))


def _check_emotion(name: str) -> str:
    if name not in _EMOTIONS:
        raise ValueError(f"expected an emotion: one of {', '.join(_EMOTIONS)}")
    return name


def _check_keypoint(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"expected a keypoint: one of {', '.join(NAMES)}")
    return name


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = Annotated[float, Field(gt=0.0)]
PixelTolerance = Annotated[float, Field(ge=0.0)]
Emotion = Annotated[str, AfterValidator(_check_emotion)]
Keypoint = Annotated[str, AfterValidator(_check_keypoint)]


class ExpressionFloors(StrictModel):
    """What the expression model must reach, as shares of 0 to 1; None is no limit.

    Attributes:
        accuracy: Floor for the accuracy.
        balanced_accuracy: Floor for the mean recall of the emotions.
        macro_f1: Floor for the mean F1 score of the emotions.
        every_recall: Floor for the recall of every emotion.
        recall: Floors for the recall of single emotions, which override `every_recall`.
        calibration_error: Ceiling for the expected calibration error.
        robustness: Floor for the share of its accuracy that the model keeps on corrupted faces,
            which is measured only where this is set; 0 measures and refuses nothing.
        groups: Ceiling for how much lower the accuracy on any group of faces is than on the rest,
            for groups that the source names and that are large enough.
    """

    accuracy: Share | None = None
    balanced_accuracy: Share | None = None
    macro_f1: Share | None = None
    every_recall: Share | None = None
    recall: dict[Emotion, Share] = {}
    calibration_error: Share | None = None
    robustness: Share | None = None
    groups: Share | None = None


class KeypointLimits(StrictModel):
    """What the keypoint model must reach, in pixels of the 96x96 frame; None is no limit.

    Attributes:
        rmse_px: Ceiling for the RMSE over all keypoints.
        every_rmse_px: Ceiling for the RMSE of every keypoint.
        keypoint_rmse_px: Ceilings for single keypoints, which override `every_rmse_px`.
        share_under_5_percent_nme: Floor for the share of faces whose mean error is under 5 % of
            the distance between the eyes.
        groups: Ceiling for how much larger the RMSE on any group of faces is than on the rest, for
            groups that the source names and that are large enough.
    """

    rmse_px: Pixels | None = None
    every_rmse_px: Pixels | None = None
    keypoint_rmse_px: dict[Keypoint, Pixels] = {}
    share_under_5_percent_nme: Share | None = None
    groups: Pixels | None = None


class Tolerances(StrictModel):
    """How far a candidate may fall behind the champion; a score with None is not compared.

    Attributes:
        accuracy: Loss of accuracy, as a share of 0 to 1.
        macro_f1: Loss of macro F1.
        recall: Loss of recall, for every emotion.
        rmse_px: Increase of the RMSE over all keypoints, in pixels.
        keypoint_rmse_px: Increase of the RMSE of every keypoint, in pixels.
    """

    accuracy: Share | None = 0.01
    macro_f1: Share | None = 0.02
    recall: Share | None = None
    rmse_px: PixelTolerance | None = 0.05
    keypoint_rmse_px: PixelTolerance | None = None


class GateSettings(StrictModel):
    """The gate's settings.

    Attributes:
        expression: Limits for the expression model.
        keypoints: Limits for the keypoint model.
        champion: Tolerances in the comparison with the champion.
    """

    expression: ExpressionFloors = ExpressionFloors()
    keypoints: KeypointLimits = KeypointLimits()
    champion: Tolerances = Tolerances()
