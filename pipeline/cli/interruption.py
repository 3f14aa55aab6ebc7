"""How the command ends when it is interrupted."""

import signal
import sys
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT


def interrupted() -> NoReturn:
    """Say so in one line, and end with 130: 128 and the signal's number, as shells count."""
    # An object whose constructor Ctrl-C has cut short may complain when it is collected.
    sys.unraisablehook = lambda _: None
    sys.stderr.write("emotion-ai: interrupted\n")
    sys.exit(INTERRUPTED)
