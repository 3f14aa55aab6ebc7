"""Limits for a SavedModel in the model server, before it may become a release."""

from pydantic import Field

from emotion_ai.settings import StrictModel


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
