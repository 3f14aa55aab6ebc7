"""The lease of rollouts: one at a time, each change of its journal fenced by resourceVersion.

A holder renews it; a waiting process takes it over once it has stood still for its duration by the
waiting process's own clock.
"""

import contextlib
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from emotion_ai.errors import EmotionAIError, Unavailable
from emotion_ai.rollouts.cluster.api import Cluster, Conflict, Object
from emotion_ai.rollouts.cluster.journal import Journal, journal_annotation, read_journal
from emotion_ai.rollouts.cluster.names import LEASE

LEASE_SECONDS = 30
_log = logging.getLogger(__name__)
_POLL_SECONDS = 1.0


class LeaseLost(Unavailable):
    """Another process has taken over the lease."""


class Lease:
    """The held lease with its journal. Thread-safe.

    Attributes:
        holder: This process's id.
        journal: The journal as it was written or read last.
        waited: Whether another rollout had to be waited for.
    """

    def __init__(self, cluster: Cluster, holder: str, body: Object, waited: bool) -> None:
        self._cluster = cluster
        self._body = body
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._is_lost = False
        self.holder = holder
        self.waited = waited
        self.journal = read_journal(body)
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewal.start()

    def write(self, journal: Journal) -> None:
        """Write the journal.

        Raises:
            LeaseLost: Another process holds the lease.
            Unavailable: The API server does not answer.
        """
        self._replace(journal, self.holder)

    def check(self) -> None:
        """Write the journal unchanged: raise `LeaseLost` if the lease is not held any more."""
        self._replace(None, self.holder)

    def check_renewal(self) -> None:
        """Raise `LeaseLost` if the lease could not be renewed; sends nothing."""
        if self._is_lost:
            raise self._lost()

    def release(self, journal: Journal) -> None:
        """Write the journal and give the lease back, in one act."""
        self.stop()
        self._replace(journal, "")

    def stop(self) -> None:
        """Stop renewing."""
        self._stop.set()
        if threading.current_thread() is not self._renewal:
            self._renewal.join()

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            try:
                self.check()
            except LeaseLost:
                return
            except EmotionAIError:
                # Nobody can take it over while the API server is away.
                continue
            except Exception:
                # The last resort, for defects: the next renewal may succeed.
                _log.exception("lease %s: could not be renewed", LEASE)

    def _replace(self, journal: Journal | None, holder: str) -> None:
        """Write a journal, None for the one that was written last, and the holder."""
        with self._lock:
            self.check_renewal()
            # Looked up in here: the renewal must not bring an older one back.
            journal = journal or self.journal
            self._body = self._put(journal, holder)
            self.journal = journal

    def _put(self, journal: Journal, holder: str) -> Object:
        while True:
            body = _lease_body(self._body, journal, holder)
            try:
                return self._cluster.update("leases", LEASE, body)
            except Conflict:
                # This write, or one before it, may have arrived although its answer did not.
                self._body = self._cluster.get("leases", LEASE)
            spec = self._body["spec"]
            if all(spec.get(key) == body["spec"][key] for key in ("holderIdentity", "renewTime")):
                return self._body
            if spec.get("holderIdentity") != self.holder:
                self._is_lost = True
                raise self._lost()

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"cluster {self._cluster.address}: this rollout did not renew its lease for "
            f"{LEASE_SECONDS} s and another one took over; run again"
        )


def new_holder(run: str) -> str:
    """Return an id of this process: a run that is tried again is another holder."""
    return f"{run or 'cli'}/{platform.node()}/{os.getpid()}-{uuid.uuid4().hex[:8]}"


def acquire_lease(
    cluster: Cluster, holder: str, wait_s: float, say: Callable[[str], None]
) -> Lease | None:
    """Take the lease, or take it over from a process that does not renew it.

    Args:
        cluster: The namespace.
        holder: The id of this process.
        wait_s: How long to wait for another rollout.
        say: Receives one line that says who is waited for.

    Returns:
        The lease; None if another rollout holds it for longer than `wait_s`.

    Raises:
        InputError: There is no Lease object.
        Unavailable: The API server does not answer.
    """
    give_up = time.monotonic() + wait_s
    last_version, unchanged_since, last_seen, waited = "", 0.0, 0.0, ""
    while True:
        body = cluster.get("leases", LEASE)
        other = body.get("spec", {}).get("holderIdentity", "")
        now = time.monotonic()
        if other == holder:
            # Taken before, by a request whose answer was lost.
            return Lease(cluster, holder, body, bool(waited))
        # While the API server is away, the holder cannot renew it either.
        was_away = now - last_seen > LEASE_SECONDS / 3
        if body["metadata"]["resourceVersion"] != last_version or was_away:
            last_version, unchanged_since = body["metadata"]["resourceVersion"], now
        last_seen = now
        if not other or now - unchanged_since > LEASE_SECONDS:
            with contextlib.suppress(Conflict):
                taken = _lease_body(body, read_journal(body), holder)
                return Lease(cluster, holder, cluster.update("leases", LEASE, taken), bool(waited))
        elif now > give_up:
            return None
        elif waited != other:
            journal = read_journal(body)
            say(f"waits for the rollout of release {journal.release} by {other} ({journal.phase})")
            waited = other
        time.sleep(_POLL_SECONDS)


def _lease_body(current: Object, journal: Journal, holder: str) -> Object:
    spec = dict(current.get("spec") or {})
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if spec.get("holderIdentity") != holder and holder:
        spec["acquireTime"] = now
        spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + 1
    spec |= {"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": LEASE_SECONDS}
    metadata = dict(current["metadata"])
    metadata["annotations"] = (metadata.get("annotations") or {}) | journal_annotation(journal)
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": spec,
    }
