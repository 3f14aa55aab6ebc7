"""How long a writer waits for another one, and how it says so."""

import sys
import time

from emotion_ai.errors import Unavailable

# Longer than a rollout with its proof may take.
WAIT_SECONDS = 300.0
_SILENT_SECONDS = 2.0


class LockWait:
    """A wait for the lock at `place`."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._started = time.monotonic()
        self._said = False

    def go_on(self, holder: str) -> None:
        """Say once on standard error for whom; raise `Unavailable` once it has been too long."""
        waited = time.monotonic() - self._started
        if waited > WAIT_SECONDS:
            raise Unavailable(
                f"{self._place}: {holder} has held it for {WAIT_SECONDS:.0f} s; see whether it is "
                "alive, and run again"
            )
        if waited > _SILENT_SECONDS and not self._said:
            sys.stderr.write(f"waiting for {holder} to finish ({self._place})\n")
            self._said = True
