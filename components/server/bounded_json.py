"""JSON from strangers: bounded in what it costs, and in how long others wait for it."""

import json
import math
from typing import Any

from emotion_ai.server.errors import invalid_argument

# Reading holds everybody up: each of these limits is some milliseconds. Seven faces, where each
# pixel is a list of one number; and the names of 1,024 rows.
MAX_VALUES = 1 << 17
MAX_NAMES = 1 << 13
# More than any type's.
_INTEGER_CHARACTERS = 40
_SHOWN_CHARACTERS = 60


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the object that a request's body is.

    Raises:
        StatusError: INVALID_ARGUMENT for other JSON, no JSON, and too much of it.
    """
    values, names = sum(map(body.count, (b",", b"[", b"{"))), body.count(b":")
    if values > MAX_VALUES or names > MAX_NAMES:
        raise invalid_argument(
            f"JSON of {values} values and lists, and {names} names; at most {MAX_VALUES} and "
            f'{MAX_NAMES} are read: send fewer faces, or pictures to the signature "encoded", or '
            "ask over gRPC"
        )
    try:
        document = (
            json.loads(body, parse_int=_read_integer, parse_float=_read_number) if body else None
        )
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (ValueError, RecursionError):
        # Bytes that are no text, numbers too large for any type, thousands of lists in each other.
        raise invalid_argument("JSON Parse error: Invalid value.") from None
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {show(document)} Is not object")
    return document


# As functions of Python's, between whose calls others have their turn: reading holds nobody up for
# as long as it takes, but for a millisecond. Much slower are integers of thousands of digits.
def _read_integer(text: str) -> int | float:
    return int(text) if len(text) <= _INTEGER_CHARACTERS else _read_number(text)


def _read_number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("Number too big to be stored in double.")
    return number


def show(value: Any) -> str:
    """Write a value, or how it begins, for a message."""
    # Lists of thousands in each other cannot be written, and what is written is cut.
    try:
        text = json.dumps(value[:_SHOWN_CHARACTERS] if isinstance(value, str | list) else value)
    except RecursionError:
        return "..."
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
