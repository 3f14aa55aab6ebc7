"""Analyses in threads: some at once, some that wait, and those beyond are to come again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from emotion_ai.errors import Unavailable

Result = TypeVar("Result")


class AnalysisQueue:
    """Runs analyses of one kind; those of other kinds do not wait for them.

    Args:
        at_once: How many run at once.
        at_most: How many run or wait.
    """

    def __init__(self, at_once: int, at_most: int) -> None:
        self._threads = ThreadPoolExecutor(at_once)
        self._at_most = at_most
        self._count = 0

    async def run(self, analyse: Callable[[], Result]) -> Result:
        """Run an analysis; one that waits is dropped if this is cancelled.

        Raises:
            Unavailable: There are too many.
        """
        if self._count >= self._at_most:
            raise Unavailable("The console is busy with other pictures.")
        self._count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, analyse)
        finally:
            self._count -= 1

    def close(self) -> None:
        """Begin no other analysis."""
        self._threads.shutdown(wait=False, cancel_futures=True)
