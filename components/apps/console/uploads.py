"""Receive the bodies of requests, bounded in time and, all together, in memory."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator

from starlette.requests import Request


class Uploads:
    """Holds bodies; where they are too large together, one that is still coming gives way.

    It is the one that has been silent longest: whoever stalls keeps nobody else out.

    Args:
        max_bytes: The most that is held, and the largest body.
        timeout_s: Seconds in which a body has to arrive.
    """

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._complete_bytes = 0
        # Bytes of each one that is coming by its time limit, the one silent longest first.
        self._coming: OrderedDict[asyncio.Timeout, int] = OrderedDict()

    @contextlib.asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """Hold a request's body for the length of the block.

        Raises:
            TimeoutError: It did not arrive in time, or gave way to others.
            ClientDisconnect: The caller has gone.
        """
        body = await self._read(request)
        self._complete_bytes += len(body)
        try:
            yield body
        finally:
            self._complete_bytes -= len(body)

    async def _read(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        limit = asyncio.timeout(self._timeout_s)
        self._coming[limit] = 0
        try:
            async with limit:
                async for chunk in request.stream():
                    chunks.append(chunk)
                    self._count(limit, len(chunk))
        finally:
            self._coming.pop(limit, None)
        return b"".join(chunks)

    def _count(self, limit: asyncio.Timeout, size: int) -> None:
        if limit not in self._coming:
            raise TimeoutError
        self._coming[limit] += size
        self._coming.move_to_end(limit)
        while self._complete_bytes + sum(self._coming.values()) > self._max_bytes:
            silent, _ = self._coming.popitem(last=False)
            if silent is limit:
                raise TimeoutError
            if not silent.expired():
                # In the past: it ends now.
                silent.reschedule(0)
