"""Defer Ctrl-C, SIGTERM and a closed terminal to where the program waits."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from emotion_ai.apps.watch.decoder_errors import DecoderErrors
from emotion_ai.terminal import END_SIGNALS


class Interruption:
    """Context manager that raises Ctrl-C, SIGTERM and SIGHUP only within `interruptible` blocks.

    So the results of a frame are written completely or not at all. Ctrl-C raises
    `KeyboardInterrupt`, the others `SystemExit` with 128 plus the signal's number, as shells
    report it. It has an effect in the main thread only, where Python handles signals.

    Example:
        with Interruption() as interruption:
            for item in queue:
                with interruption.interruptible():
                    result = wait_for(item)
                write(result)
    """

    def __init__(self) -> None:
        self._received: BaseException | None = None
        self._is_interruptible = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in END_SIGNALS:
                self._previous_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise a signal that arrives within the block, or arrived before it."""
        self._is_interruptible = True
        try:
            if self._received:
                raise self._received
            yield
        finally:
            self._is_interruptible = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._received = (
            KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        )
        if self._is_interruptible and not _is_called_by_decoder(frame):
            raise self._received


def _is_called_by_decoder(frame: FrameType | None) -> bool:
    """Whether a decoder's error is being counted: what is raised there is printed and lost."""
    while frame is not None:
        if frame.f_code is DecoderErrors.add.__code__:
            return True
        frame = frame.f_back
    return False
