"""What a training is told: shape of the network, schedule, regularisation. Light: no Keras here."""

from typing import Annotated, Literal

from pydantic import Field

from emotion_ai.settings import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class TrainingSettings(StrictModel):
    """Settings of one training; integers may arrive as floats, as KFP sends them."""

    epochs: int = Field(20, ge=1, le=10_000)
    # Epochs without a better validation score after which training stops.
    patience: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=2, le=8_192)
    learning_rate: float = Field(2e-3, gt=0, le=1)
    weight_decay: float = Field(1e-2, ge=0, le=1)
    # Share of the steps in which the learning rate climbs before the cosine takes it down.
    warmup: Share = 0.05
    widths: tuple[int, ...] = Field((24, 48, 96, 192), min_length=1, max_length=6)
    blocks: int = Field(1, ge=1, le=8)
    dropout: Share = 0.2
    # Expressions alone: two faces are blended in shares drawn from Beta(mixup, mixup); 0 for none.
    mixup: float = Field(0.0, ge=0, le=10)
    # ... and in this share of the batches a square of one is pasted into the other instead.
    cutmix: Share = 0.0
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    # Where a run has teachers: the share of each target that they answer.
    distillation: Share = 0.7
    # What the layers compute in; weights are float32 always. "auto" is bfloat16 where the processor
    # multiplies in it.
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
