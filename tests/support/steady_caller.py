"""Somebody who keeps asking a model server while others change what it serves."""

import threading
from collections import Counter

import numpy as np

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable


class Caller:
    """Somebody who keeps asking; counts who answered, and what went wrong."""

    def __init__(self, server: str) -> None:
        self.answers: Counter[int | str] = Counter()
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with Client(self._server) as client:
            while not self._stop.wait(0.01):
                try:
                    answer = client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8))
                    self.answers[answer.version] += 1
                except Unavailable as failure:
                    self.answers[str(failure)] += 1

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
