"""The console script: a Ctrl-C while the command line is still being imported is one line too."""

import signal
import sys


def main() -> None:
    """Import and run the command line; see `pipeline.cli.main`."""
    try:
        from pipeline.cli import main as run_command
    except KeyboardInterrupt:
        sys.stderr.write("emotion-ai: interrupted\n")
        sys.exit(128 + signal.SIGINT)
    run_command()
