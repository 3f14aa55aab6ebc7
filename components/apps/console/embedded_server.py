"""Run the embedded model server as a child process of the console, with the pretrained networks.

`model_server.EmbeddedModelServer` starts it and holds the other end of its standard input. It stops
when the console does, even if the console is killed: then its standard input is closed.
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
    # Until the server handles the signal itself: an exit removes what has been written by then.
    signal.signal(signal.SIGTERM, _exit)
    threading.Thread(target=_stop_when_stdin_closes, daemon=True).start()
    with exit_on_failure():
        serve(parse_flags(["--pretrained", "--port=0"], "emotion-ai console"))


def _exit(number: int, frame: Any) -> None:
    sys.exit(128 + number)


def _stop_when_stdin_closes() -> None:
    # Not sys.stdin: its lock, held by this thread, would block the interpreter's exit.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
