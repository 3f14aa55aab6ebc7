"""Settings of ingest's checks: the share of rows up to which each check only warns.

FER-2013 and Kaggle's keypoint files pass unchanged with the defaults.
"""

from typing import Annotated

from pydantic import Field

from emotion_ai.settings import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class DataChecks(StrictModel):
    """Tolerated shares of rows, from 0 to 1; a source over one of them is rejected.

    Rows that fail a check of the first group are dropped. The checks of the second group cover the
    whole set and drop no row.
    """

    malformed_row: Share = 0.001
    pixel_count: Share = 0.001
    pixel_value: Share = 0.001
    unknown_label: Share = 0.001
    keypoint_value: Share = 0.001
    keypoint_outside: Share = 0.001
    # A few of Kaggle's 7,049 rows have fewer than the four keypoints that all others have.
    too_few_keypoints: Share = 0.01

    constant_images: Share = 0.01
    duplicates: Share = 0.2
    contradicting_duplicates: Share = 0.02
    # Share of the validation and test rows; about 8 % of FER-2013's have a copy in Training.
    split_duplicates: Share = 0.15
    # How far the median face's middle may be from that of the frame, as a share of its side.
    keypoint_middle: Share = 0.25
    # The smallest share of codes 5 and 6 in a fer7 source; 0 turns the check off.
    course5_as_fer7: Share = 0.001
    # The smallest ratio of the rarest emotion's rows to the most frequent's; FER-2013 has 0.06.
    class_balance: Share = 0.01

    min_keypoints: int = Field(default=3, ge=1, le=15)
    max_rows: int = Field(default=2_000_000, ge=1)
