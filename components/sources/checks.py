"""The settings of ingest's checks: for each, the share of rows up to which it warns and goes on.

The defaults pass FER-2013 and Kaggle's keypoint files as they are.
"""

from typing import Annotated

from pydantic import Field

from emotion_ai.settings import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class DataChecks(StrictModel):
    """Shares of rows from 0 to 1; over the share the source is refused.

    The rows that fail one of the first group are left out. The second group looks at the whole set
    and leaves every row in.
    """

    malformed_row: Share = 0.001
    pixel_count: Share = 0.001
    pixel_value: Share = 0.001
    unknown_label: Share = 0.001
    keypoint_value: Share = 0.001
    keypoint_outside: Share = 0.001
    # Some of Kaggle's 7,049 rows lack one of the four keypoints that the others carry.
    too_few_keypoints: Share = 0.01

    constant_images: Share = 0.01
    duplicates: Share = 0.2
    contradicting_duplicates: Share = 0.02
    # Of the validation and test rows; some 8 % of FER-2013's have a copy in Training.
    split_duplicates: Share = 0.15
    # Least share that codes 5 and 6 must have in a fer7 source; 0 switches the check off.
    course5_as_fer7: Share = 0.001
    # Least ratio of the rarest emotion's rows to the commonest's; FER-2013 has 0.06.
    class_balance: Share = 0.01

    min_keypoints: int = Field(default=3, ge=1, le=15)
    max_rows: int = Field(default=2_000_000, ge=1)
