"""Wait for a registry's lock: with a message, and not forever."""

import sys
import time

from emotion_ai.errors import Unavailable

# Longer than a rollout with its verification may take.
MAX_WAIT_SECONDS = 300.0
_MESSAGE_AFTER_SECONDS = 2.0


class LockWait:
    """A wait for the lock at a path or URI, counted from here on."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._started = time.monotonic()
        self._message_written = False

    def check(self, holder: str) -> None:
        """Write one message to standard error after two seconds; give up after five minutes.

        Args:
            holder: What messages call the lock's holder.

        Raises:
            Unavailable: The wait has taken more than `MAX_WAIT_SECONDS`.
        """
        waited = time.monotonic() - self._started
        if waited > MAX_WAIT_SECONDS:
            raise Unavailable(
                f"{self._uri}: {holder} has held it for {MAX_WAIT_SECONDS:.0f} s; see whether it "
                "is alive, and run again"
            )
        if waited > _MESSAGE_AFTER_SECONDS and not self._message_written:
            sys.stderr.write(f"waiting for {holder} to finish ({self._uri})\n")
            self._message_written = True
