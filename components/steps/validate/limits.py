"""What a SavedModel has to keep to in the server before it may become a release."""

from pydantic import Field

from emotion_ai.settings import StrictModel


class ValidationLimits(StrictModel):
    """Parity is always demanded; latency over budget warns, and rejects only where asked to."""

    # Largest difference of a probability, or of a keypoint in pixels of the 96x96 frame.
    tolerance: float = Field(default=1e-3, gt=0)
    # One face a request, one request at a time.
    latency_calls: int = Field(default=50, ge=1, le=10_000)
    p50_budget_ms: float = Field(default=100.0, gt=0)
    p99_budget_ms: float = Field(default=250.0, gt=0)
    reject_over_budget: bool = False
    load_timeout_s: float = Field(default=120.0, gt=0, le=3600)
