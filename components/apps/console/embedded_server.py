"""The embedded model server as the console's child: it serves the pretrained networks, and ends
when the console does, however that ends.

Run by `model_server.Embedded`, which holds the other end of its standard input.
"""

import os
import signal
import sys
import threading
from typing import Any

from emotion_ai.errors import exit_on_failure
from emotion_ai.server.flags import parse_flags
from emotion_ai.server.server import serve


def main() -> None:
    """Serve on any free port of 127.0.0.1 until SIGTERM, or until standard input is closed."""
    # Until the server takes the signal for itself: what has been written by then is removed.
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_the_console, daemon=True).start()
    with exit_on_failure():
        serve(parse_flags(["--pretrained", "--port=0"], "emotion-ai console"))


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)


def _end_with_the_console() -> None:
    # By its number: the object's lock, held here, would be in the way of the interpreter's end.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
