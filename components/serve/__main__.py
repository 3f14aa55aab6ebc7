"""`python -m components.serve`: the embedded model server as a process of its own."""

import sys

from components.errors import exit_on_failure
from components.serve.flags import parse_flags
from components.serve.server import serve


def main() -> None:
    """Read the flags and serve."""
    with exit_on_failure():
        serve(parse_flags(sys.argv[1:], "python -m components.serve"))


if __name__ == "__main__":
    main()
