"""Times of a schedule: what Kubeflow Pipelines takes, written in one way."""

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.publishing.cron import normalise


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0 0 3 * * *", "0 0 3 * * *"),
        ("  0\t00  03 ? * mon-fri\n", "0 0 3 * * MON-FRI"),
        ("59 59 23 31 12 6", "59 59 23 31 12 6"),
        ("00 */15 8-18/2 1,15 Jan,jul ?", "0 */15 8-18/2 1,15 JAN,JUL *"),
        ("0 5/10 0 29 2 *", "0 5/10 0 29 2 *"),
        # A day of the week is another way to be chosen.
        ("0 0 0 31 2 sun", "0 0 0 31 2 SUN"),
        ("0 0 0 30,31 2,4 *", "0 0 0 30,31 2,4 *"),
    ],
)
def test_a_schedule_is_written_in_one_way(given: str, expected: str) -> None:
    assert normalise(given) == expected
    assert normalise(expected) == expected


@pytest.mark.parametrize(
    ("schedule", "count"),
    [("", 0), ("nightly", 1), ("@daily", 1), ("0 3 * * *", 5), ("0 0 3 * * * *", 7)],
)
def test_six_fields_are_expected(schedule: str, count: int) -> None:
    with pytest.raises(InputError) as failure:
        normalise(schedule)
    message = str(failure.value)
    assert message.startswith(f"schedule {schedule!r}: expected six fields, seconds first, in UTC")
    assert "(second, minute, hour, day of the month, month, day of the week)" in message
    assert message.endswith(f"it has {count}")


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("60 0 3 * * *", "second '60': there is no 60; expected 0 to 59,"),
        ("0 75 3 * * *", "minute '75': there is no 75; expected 0 to 59,"),
        ("0 0 24 * * *", "hour '24': there is no 24; expected 0 to 23,"),
        ("0 0 3 0 * *", "day of the month '0': there is no 0; expected 1 to 31,"),
        ("0 0 3 * 13 *", "month '13': there is no 13; expected 1 to 12, or JAN to DEC,"),
        ("0 0 3 * mon *", "month 'mon': there is no MON; expected 1 to 12, or JAN to DEC,"),
        # Sunday is 0.
        ("0 0 3 * * 7", "day of the week '7': there is no 7; expected 0 to 6, or SUN to SAT,"),
        ("0 0 3 * * 5#2", "day of the week '5#2': '5#2' is no value;"),
        ("0 0 3 L * *", "day of the month 'L': there is no L;"),
        ("0 0 3 * * ;", "day of the week ';': ';' is no value;"),
        ("0 0 -3 * * *", "hour '-3': '-3' is no value;"),
        ("0 0 3, * * *", "hour '3,': a value is missing;"),
        ("0 0 3 * * FRI-MON", "day of the week 'FRI-MON': FRI-MON ends before it begins;"),
        ("0 0 5-3 * * *", "hour '5-3': 5-3 ends before it begins;"),
        ("0 */0 * * * *", "minute '*/0': the step is 0;"),
        ("0 1/2/3 * * * *", "minute '1/2/3': '1/2/3' is no value;"),
        ("0 0 ٣ * * *", "hour '٣': '٣' is no value;"),
        ("0 0 3 31 2,4 *", "day of the month '31': no such day in month '2,4'"),
        ("0 0 3 30 feb *", "day of the month '30': no such day in month 'FEB'"),
    ],
)
def test_a_field_that_says_nothing_is_named(schedule: str, words: str) -> None:
    with pytest.raises(InputError) as failure:
        normalise(schedule)
    assert str(failure.value).startswith(f"schedule {schedule!r}: {words}")


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        ("* * * * * *", 1),
        ("0 * * * * *", 60),
        ("*/30 0 3 * * *", 30),
        ("0 0,9 3 * * *", 540),
        # From the end of an hour to the next one.
        ("0 0,55 * * * *", 300),
        ("0 1,55 23,0 * * *", 360),
    ],
)
def test_a_schedule_that_starts_runs_faster_than_they_end_is_refused(
    schedule: str, seconds: int
) -> None:
    with pytest.raises(InputError) as failure:
        normalise(schedule)
    assert str(failure.value) == (
        f"schedule {schedule!r}: two runs start {seconds} s apart; expected at least 10 minutes, "
        "such as '0 */10 * * * *'"
    )


@pytest.mark.parametrize(
    "schedule", ["0 */10 * * * *", "0 0,10 3 * * *", "0 0,55 1,3 * * *", "59 59 * * * *"]
)
def test_a_schedule_with_ten_minutes_between_runs_is_taken(schedule: str) -> None:
    assert normalise(schedule) == schedule
