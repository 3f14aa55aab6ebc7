"""`python -m emotion_ai.server`: the embedded model server as a process of its own."""

import sys

from emotion_ai.errors import exit_on_failure
from emotion_ai.server.flags import parse_flags
from emotion_ai.server.server import serve


def main() -> None:
    """Read the flags and serve."""
    with exit_on_failure():
        serve(parse_flags(sys.argv[1:], "python -m emotion_ai.server"))


if __name__ == "__main__":
    main()
