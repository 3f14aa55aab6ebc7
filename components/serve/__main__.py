"""`python -m components.serve`: the embedded model server as a process of its own."""

import argparse

from components.errors import exit_on_failure
from components.serve.server import serve


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(prog="python -m components.serve", description=__doc__)
    parser.add_argument("--registry", required=True, help="local folder or gs://bucket/prefix")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (%(default)s)")
    parser.add_argument("--port", type=int, default=8500, help="0 is any free one (%(default)s)")
    parser.add_argument(
        "--poll-seconds", type=float, default=1.0, help="how often models.config is read"
    )
    flags = parser.parse_args()
    with exit_on_failure():
        serve(flags.registry, flags.host, flags.port, flags.poll_seconds)


if __name__ == "__main__":
    main()
