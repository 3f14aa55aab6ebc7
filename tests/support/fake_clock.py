"""Virtual time: stands in for the module `time`."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any


class Clock:
    """Each process has its own, which a sleep moves on."""

    def __init__(self) -> None:
        self._now: defaultdict[int, float] = defaultdict(lambda: 1000.0)
        self.on_sleep: Callable[[float], None] = lambda seconds: None

    def monotonic(self) -> float:
        """Return the time of the thread that asks."""
        return self._now[threading.get_ident()]

    def sleep(self, seconds: float) -> None:
        """Let the time of the thread that asks pass."""
        self._now[threading.get_ident()] += seconds
        self.on_sleep(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)
