"""Connections to the servers of pods, kept open while a release is judged."""

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from emotion_ai.client.channel import Tls
from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError, Unavailable, VerificationError
from emotion_ai.rollouts.cluster.api import Cluster, Object
from emotion_ai.rollouts.cluster.evidence import GoldenAnswer
from emotion_ai.rollouts.cluster.names import GRPC_PORT, HTTP_PORT
from emotion_ai.rollouts.cluster.observation import Counts, read_counts
from emotion_ai.rollouts.cluster.reach import reach_pod
from emotion_ai.rollouts.settings import TlsFiles
from emotion_ai.rollouts.verification import GoldenRequests, compare_answer, verify_server

# A golden request is a few faces: a server that takes longer does not answer.
_GOLDEN_SECONDS = 10.0
_STATUS_SECONDS = 5.0


class PodConnections:
    """Opens a connection to a pod when it is first needed; closes all at the end of the block."""

    def __init__(self, cluster: Cluster, tls: TlsFiles) -> None:
        self._cluster = cluster
        # Otherwise every request goes through the API server, which may be away.
        self.are_direct = cluster.is_inside
        self._tls = read_tls(tls)
        self._stack = contextlib.ExitStack()
        self._clients: dict[str, Client] = {}
        self._http: dict[str, str] = {}

    def __enter__(self) -> "PodConnections":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def client(self, pod: Object) -> Client:
        """Return a client of a pod's server."""
        uid = pod["metadata"]["uid"]
        if uid not in self._clients:
            address = self._stack.enter_context(reach_pod(self._cluster, pod, GRPC_PORT))
            self._clients[uid] = self._stack.enter_context(Client(address, tls=self._tls))
        return self._clients[uid]

    def problem(self, pod: Object) -> str:
        """Ask a pod's server for its status; return why it does not answer, "" if it does."""
        try:
            self.client(pod).version_statuses(timeout=_STATUS_SECONDS)
        except EmotionAIError as error:
            return str(error)
        return ""

    def counts(self, pod: Object) -> Counts:
        """Read what a pod's server has counted.

        Raises:
            Unavailable: It does not answer.
        """
        uid = pod["metadata"]["uid"]
        if uid not in self._http:
            address = self._stack.enter_context(reach_pod(self._cluster, pod, HTTP_PORT))
            self._http[uid] = address
        return read_counts(self._http[uid])

    def prove(self, pod: Object, release: int, golden: GoldenRequests, timeout_s: float) -> float:
        """Compare a pod's answers to all golden requests; return the largest difference.

        Raises:
            VerificationError: An answer differs.
            Unavailable: The server does not answer in time.
        """
        name = pod["metadata"]["name"]
        try:
            deadline = time.monotonic() + timeout_s
            return verify_server(self.client(pod), release, golden, deadline)
        except VerificationError as error:
            raise VerificationError(f"pod {name}: {error}") from None
        except EmotionAIError as error:
            raise Unavailable(f"pod {name}: {error}") from None

    def ask(
        self, pod: Object, release: int, log: Any, tolerance: float
    ) -> tuple[GoldenAnswer, str]:
        """Send one golden request of the release that a pod serves.

        Returns:
            How it ended, and what is wrong with the answer, "" if nothing.
        """
        client, problem, status = self.client(pod), "", "OK"
        started = time.perf_counter()
        try:
            compare_answer(client, release, log, tolerance, time.monotonic() + _GOLDEN_SECONDS)
        except VerificationError as error:
            problem = f"pod {pod['metadata']['name']}: {error}"
        except EmotionAIError:
            status = "UNAVAILABLE"
        return GoldenAnswer(status, time.perf_counter() - started), problem

    def time_request(self, pod: Object, log: Any) -> GoldenAnswer:
        """Send a golden request to a pod of another release, for its latency alone."""
        client, status = self.client(pod), "OK"
        started = time.perf_counter()
        try:
            client.send(log.request, None, timeout=_GOLDEN_SECONDS)
        except EmotionAIError:
            status = "UNAVAILABLE"
        return GoldenAnswer(status, time.perf_counter() - started)


def read_tls(files: TlsFiles) -> Tls | None:
    """Return the files as a client takes them; None for plain text."""
    if not files.authority and not files.certificate:
        return None

    def path(text: str) -> Path | None:
        return Path(text) if text else None

    return Tls(path(files.authority), path(files.certificate), path(files.key), files.name)
