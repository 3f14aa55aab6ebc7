"""How the command ends when it is interrupted."""

import signal
import sys
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT


def exit_interrupted() -> NoReturn:
    """Write one line to stderr and exit with 130: 128 plus the signal's number, as shells count."""
    # An object whose constructor Ctrl-C interrupted may complain when it is collected.
    sys.unraisablehook = lambda _: None
    sys.stderr.write("emotion-ai: interrupted\n")
    sys.exit(INTERRUPTED)
