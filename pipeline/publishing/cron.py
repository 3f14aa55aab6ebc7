"""Times of a schedule: six fields of cron, as Kubeflow Pipelines reads them (robfig/cron 1).

Other programs read other crons: five fields, 7 for Sunday, L, W or #. The server refuses those
only when the pipeline is uploaded already.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from emotion_ai.errors import InputError


class _Field(NamedTuple):
    name: str
    lowest: int
    highest: int
    # Of the lowest value and those that follow.
    names: tuple[str, ...] = ()


class _Times(NamedTuple):
    """A field, or a part of one: how it is written, and the values it stands for."""

    text: str
    values: frozenset[int]


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _WEEKDAYS),
)
# A run takes minutes of Kubeflow Pipelines' own pods, however little it trains.
_LEAST_MINUTES = 10
_MOST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_VALUE = "[0-9]{1,4}|[A-Z]+"
# Every value, or one, or a range; each of them or every n-th.
_PART = re.compile(rf"(?:([*?])|({_VALUE})(?:-({_VALUE}))?)(?:/([0-9]{{1,4}}))?")


def normalise(schedule: str) -> str:
    """Write a schedule in the one way in which it is sent and compared.

    Args:
        schedule: Second, minute, hour, day of the month, month and day of the week, in UTC.

    Raises:
        InputError: A field is missing or says nothing; the message names it. Or no such day comes,
            or two starts are less than ten minutes apart.

    Example:
        >>> normalise(" 0  00 3 ? * mon-fri ")
        '0 0 3 * * MON-FRI'
    """
    texts = schedule.split()
    if len(texts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise InputError(
            f"schedule {schedule!r}: expected six fields, seconds first, in UTC ({names}), such as "
            f"'0 0 3 * * *' for three o'clock every night, in quotes; it has {len(texts)}"
        )
    fields = [
        _read_field(text, field, schedule) for text, field in zip(texts, _FIELDS, strict=True)
    ]
    _check_days(fields, schedule)
    _check_distance(fields, schedule)
    return " ".join(field.text for field in fields)


def _read_field(text: str, field: _Field, schedule: str) -> _Times:
    try:
        parts = [_read_part(part, field) for part in text.upper().split(",")]
    except ValueError as error:
        names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
        raise InputError(
            f"schedule {schedule!r}: {field.name} {text!r}: {error}; expected {field.lowest} to "
            f"{field.highest}{names}, with commas between several, '-' in a range, '/' before a "
            "step, or *"
        ) from None
    return _Times(
        ",".join(part.text for part in parts), frozenset[int]().union(*(p.values for p in parts))
    )


def _read_part(part: str, field: _Field) -> _Times:
    """Read what stands between two commas; raise `ValueError` with the reason if it is nothing."""
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{part!r} is no value" if part else "a value is missing")
    star, first, last, step = match.groups()
    every = int(step or 1)
    if every == 0:
        raise ValueError("the step is 0")
    if star:
        lowest, highest, text = field.lowest, field.highest, "*"
    else:
        lowest = _value(first, field)
        # A step goes on to the end.
        highest = _value(last, field) if last else field.highest if step else lowest
        text = "-".join(_plain(value) for value in (first, last) if value)
    if lowest > highest:
        raise ValueError(f"{part} ends before it begins")
    text = f"{text}/{every}" if step else text
    return _Times(text, frozenset(range(lowest, highest + 1, every)))


def _value(text: str, field: _Field) -> int:
    if text in field.names:
        return field.lowest + field.names.index(text)
    if not text.isdigit() or not field.lowest <= int(text) <= field.highest:
        raise ValueError(f"there is no {text}")
    return int(text)


def _plain(value: str) -> str:
    return str(int(value)) if value.isdigit() else value


def _check_days(fields: Sequence[_Times], schedule: str) -> None:
    """Refuse a day that no month has: Kubeflow Pipelines takes it."""
    days, months, weekdays = fields[3:]
    # A day of the week beside the day of the month is another way to be chosen.
    if len(weekdays.values) < len(_WEEKDAYS):
        return
    if all(min(days.values) > _MOST_DAYS[month - 1] for month in months.values):
        raise InputError(
            f"schedule {schedule!r}: day of the month {days.text!r}: no such day in month "
            f"{months.text!r}, so that it would never start a run"
        )


def _check_distance(fields: Sequence[_Times], schedule: str) -> None:
    """Refuse a schedule that would start runs faster than any of them ends."""
    seconds, minutes, hours = (field.values for field in fields[:3])
    starts = sorted(60 * minute + second for minute in minutes for second in seconds)
    if any((hour + 1) % 24 in hours for hour in hours):
        starts.append(starts[0] + 3600)
    shortest = min((later - start for start, later in pairwise(starts)), default=3600)
    if shortest < 60 * _LEAST_MINUTES:
        raise InputError(
            f"schedule {schedule!r}: two runs start {shortest} s apart; expected at least "
            f"{_LEAST_MINUTES} minutes, such as '0 */{_LEAST_MINUTES} * * * *'"
        )
