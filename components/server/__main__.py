"""`python -m emotion_ai.server`: runs the embedded model server in the foreground."""

import sys

from emotion_ai.errors import exit_on_failure
from emotion_ai.server.flags import parse_flags
from emotion_ai.server.server import serve


def main() -> None:
    """Parse the flags and serve until SIGTERM or SIGINT."""
    with exit_on_failure():
        serve(parse_flags(sys.argv[1:], "python -m emotion_ai.server"))


if __name__ == "__main__":
    main()
