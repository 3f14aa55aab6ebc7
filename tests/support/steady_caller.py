"""A client that keeps sending requests while the served release changes."""

import threading
from collections import Counter

import numpy as np

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable


class SteadyCaller:
    """Sends requests from a thread; `answers` counts them by release or by error message."""

    def __init__(self, server: str) -> None:
        self.answers: Counter[int | str] = Counter()
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send_requests)

    def _send_requests(self) -> None:
        with Client(self._server) as client:
            while not self._stop.wait(0.01):
                try:
                    answer = client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8))
                    self.answers[answer.version] += 1
                except Unavailable as error:
                    self.answers[str(error)] += 1

    def __enter__(self) -> "SteadyCaller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
