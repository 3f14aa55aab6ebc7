"""What a run may release, and how long a registry and KFP's cache keep what runs have made."""

from typing import Annotated

from pydantic import Field

from emotion_ai.settings import StrictModel

Days = Annotated[int, Field(ge=0, le=36_500)]


class RetentionSettings(StrictModel):
    """Age limits in days; 0 is no limit. A run keeps them at its end.

    Attributes:
        runs_days: Of a run's records and pages, unless a release came from the run.
        checkpoints_days: Of what a killed training left to be taken up again.
        cache_days: After so many days KFP's cache is not used again, so that the artifacts may be
            removed from the bucket.
    """

    runs_days: Days = 0
    checkpoints_days: Days = 0
    cache_days: Days = 0


class ValidationLimits(StrictModel):
    """Tolerance and latency budgets, as plain data.

    Attributes:
        tolerance: Largest difference of a probability, or of a keypoint in pixels of the 96x96
            frame, from the golden answers.
        latency_calls: How many requests are timed: one face each, one at a time.
        p50_budget_ms: Limit for the median latency.
        p99_budget_ms: Limit for the 99th percentile of the latency.
        reject_over_budget: Whether latency over its budget rejects the model; otherwise it warns.
        load_timeout_s: How long the server may take to load the model.
    """

    tolerance: float = Field(default=1e-3, gt=0)
    latency_calls: int = Field(default=50, ge=1, le=10_000)
    p50_budget_ms: float = Field(default=100.0, gt=0)
    p99_budget_ms: float = Field(default=250.0, gt=0)
    reject_over_budget: bool = False
    load_timeout_s: float = Field(default=120.0, gt=0, le=3600)
