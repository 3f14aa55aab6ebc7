"""Stands in for connections to pods: answers by the quality of the release that a pod serves."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from emotion_ai.errors import Unavailable, VerificationError
from emotion_ai.rollouts.cluster.api import Object
from emotion_ai.rollouts.cluster.deployment import template_release
from emotion_ai.rollouts.cluster.evidence import GoldenAnswer
from emotion_ai.rollouts.cluster.observation import Counts
from emotion_ai.rollouts.verification import GoldenRequests

from support.fake_api_server import ApiServer
from support.fake_controllers import is_canary


class FakeConnections:
    """Answers for the servers of pods, by the quality of their releases."""

    are_direct = True

    def __init__(self, server: ApiServer, quality: Mapping[int, str]) -> None:
        self._server = server
        self._quality = quality
        self._answers: Counter[str] = Counter()

    def __enter__(self) -> "FakeConnections":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def client(self, pod: Object) -> None:
        """Connections to nothing need not be opened."""

    def problem(self, pod: Object) -> str:
        """Every server answers, unless its pod is gone."""
        try:
            self._current(pod)
        except Unavailable as error:
            return str(error)
        return ""

    def counts(self, pod: Object) -> Counts:
        """No callers: golden requests decide."""
        self._current(pod)
        answers = self._answers[pod["metadata"]["uid"]]
        return Counts({"OK": answers}, ((20_000.0, answers), (math.inf, answers)))

    def prove(self, pod: Object, release: int, golden: GoldenRequests, timeout_s: float) -> float:
        """Compare its golden answers."""
        served = template_release(self._current(pod))
        if served != release:
            raise Unavailable(f"pod {pod['metadata']['name']}: has not loaded release {release}")
        if self._is_bad(pod, "proof"):
            raise VerificationError(f"pod {pod['metadata']['name']}: golden answers of {served}")
        return 0.0

    def ask(
        self, pod: Object, release: int, log: Any, tolerance: float
    ) -> tuple[GoldenAnswer, str]:
        """Send one golden request."""
        try:
            self._current(pod)
        except Unavailable:
            return GoldenAnswer("UNAVAILABLE", 0.01), ""
        self._answers[pod["metadata"]["uid"]] += 1
        problem = f"a golden answer of {release}" if self._is_bad(pod, "proof", "bake") else ""
        return GoldenAnswer("OK", 0.01), problem

    def time_request(self, pod: Object, log: Any) -> GoldenAnswer:
        """Every server is as fast as the others."""
        self._answers[pod["metadata"]["uid"]] += 1
        return GoldenAnswer("OK", 0.01)

    def _is_bad(self, pod: Object, *qualities: str) -> bool:
        quality = self._quality.get(template_release(pod) or 0, "good")
        return quality in qualities if is_canary(pod) else quality != "good"

    def _current(self, pod: Object) -> Object:
        name = pod["metadata"]["name"]
        current = self._server.objects["pods"].get(name)
        if current is None:
            raise Unavailable(f"pod {name}: connection refused")
        return current
