"""Settings of a training: shape of the network, schedule, regularisation. Imports no Keras."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from emotion_ai.errors import InputError
from emotion_ai.settings import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]
Channels = Annotated[int, Field(ge=1, le=4_096)]


class TrainingSettings(StrictModel):
    """Settings of one training; integers may arrive as floats, as KFP sends them.

    Example:
        settings = TrainingSettings(epochs=40, widths=(32, 64, 128, 256))
    """

    # 0 trains nothing: the network is released with the weights that it starts from.
    epochs: int = Field(20, ge=0, le=10_000)
    # Training stops after this many epochs without a better validation score.
    patience: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=2, le=8_192)
    learning_rate: float = Field(2e-3, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0, le=1)
    # Share of the steps in which the learning rate rises; a cosine lowers it in the others.
    warmup: Share = 0.05
    # Channels of each stage; multiples of 16 train fastest, see `normalisation`.
    widths: tuple[Channels, ...] = Field((32, 48, 96, 192), min_length=1, max_length=6)
    # Residual blocks a stage.
    blocks: int = Field(1, ge=1, le=8)
    dropout: Share = 0.2
    # Expression only: faces are mixed in shares drawn from Beta(mixup, mixup); 0 turns it off.
    mixup: float = Field(0.0, ge=0, le=10)
    # Expression only: in this share of the batches a square of one face is pasted into another.
    cutmix: Share = 0.0
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    # Expression only: the power of each emotion's share of the training that its probability is
    # divided by. More than 0 helps rare emotions, at the cost of frequent ones.
    logit_adjustment: float = Field(0.0, ge=0, le=1)
    # The teachers' share of each target, in a run with teachers.
    distillation: Share = 0.7
    # The precision of the layers' computations; weights are always float32. "auto" is bfloat16
    # where the machine supports it.
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


def check_keypoint_training(settings: TrainingSettings, name: str) -> None:
    """Check the settings of a keypoint network's training, which knows no emotions.

    Args:
        settings: The settings.
        name: What messages call them.

    Raises:
        InputError: "mixup", "cutmix" or "logit_adjustment" is set.
    """
    reasons = {
        "mixup": "keypoints cannot be mixed",
        "cutmix": "keypoints cannot be mixed",
        "logit_adjustment": "keypoints are not rare or frequent",
    }
    for setting, reason in reasons.items():
        value = getattr(settings, setting)
        if value:
            raise InputError(f"setting {name}.{setting} = {value}: {reason}; expected 0")


def check_teaching(settings: TrainingSettings, teachers: Sequence[object], name: str) -> None:
    """Check that the teachers of a training, if there are any, have a share in it.

    Args:
        settings: The settings of the expression network's training.
        teachers: Names of releases.
        name: What messages call the settings.

    Raises:
        InputError: They have none.
    """
    for setting in ("epochs", "distillation"):
        if teachers and not getattr(settings, setting):
            raise InputError(
                f"setting {name}.{setting} = 0: the teachers {', '.join(map(str, teachers))} would "
                "teach nothing; expected more than 0, or no teachers"
            )
