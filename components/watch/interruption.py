"""Ctrl-C that ends a wait at once, and all else when it is done."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interruption:
    """Within `waiting`, Ctrl-C raises `KeyboardInterrupt`; elsewhere it waits for the next one.

    A context manager: within it, a look is written whole or not at all. It has an effect in the
    main thread alone, which is the one that Python tells of signals.
    """

    def __init__(self) -> None:
        self._came = False
        self._waiting = False
        self._before: Any = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that ends where the Ctrl-C comes, or came before it."""
        self._waiting = True
        try:
            if self._came:
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False

    def _note(self, *_: object) -> None:
        self._came = True
        if self._waiting:
            raise KeyboardInterrupt
