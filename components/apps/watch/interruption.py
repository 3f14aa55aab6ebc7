"""Ctrl-C and SIGTERM that end a wait at once, and all else when it is done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interruption:
    """Within `waiting`, Ctrl-C raises `KeyboardInterrupt`; elsewhere it waits for the next one.

    SIGTERM likewise raises `SystemExit` with 143: 128 and its number, as shells count. A context
    manager: within it, a look is written whole or not at all. It has an effect in the main thread
    alone, which is the one that Python tells of signals.
    """

    def __init__(self) -> None:
        self._came: BaseException | None = None
        self._waiting = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that ends where the signal comes, or came before it."""
        self._waiting = True
        try:
            if self._came:
                raise self._came
            yield
        finally:
            self._waiting = False

    def _note(self, number: int, _: object) -> None:
        self._came = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        if self._waiting:
            raise self._came
