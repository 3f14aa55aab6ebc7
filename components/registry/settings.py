"""How long a registry and KFP's cache keep what runs have made."""

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
