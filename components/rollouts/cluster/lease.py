"""The lease of rollouts: one at a time, each change of its journal fenced by resourceVersion.

A holder renews it; a waiting process takes it over once it has stood still for its duration by the
waiting process's own clock.
"""

import contextlib
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from emotion_ai.errors import Unavailable
from emotion_ai.rollouts.cluster.api import Cluster, Conflict, Object
from emotion_ai.rollouts.cluster.journal import Journal, journal_annotation, read_journal
from emotion_ai.rollouts.cluster.names import LEASE

LEASE_SECONDS = 30
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
        self._renewal = threading.Thread(target=self._renew, daemon=True)
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
        self._replace(self.journal, self.holder)

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
            except Unavailable:
                # Nobody can take it over while the API server is away.
                continue

    def _replace(self, journal: Journal, holder: str) -> None:
        with self._lock:
            if self._is_lost:
                raise self._lost()
            body = _lease_body(self._body, journal, holder)
            try:
                self._body = self._cluster.update("leases", LEASE, body)
            except Conflict:
                self._body = self._own_write(body)
            self.journal = journal

    def _own_write(self, body: Object) -> Object:
        """Return the current lease if it is what was written; its answer may have been lost."""
        current = self._cluster.get("leases", LEASE)
        keys = ("holderIdentity", "renewTime")
        if any(current["spec"].get(key) != body["spec"].get(key) for key in keys):
            self._is_lost = True
            raise self._lost()
        return current

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
    last_version, unchanged_since, waited = "", time.monotonic(), ""
    while True:
        body = cluster.get("leases", LEASE)
        other = body.get("spec", {}).get("holderIdentity", "")
        now = time.monotonic()
        if body["metadata"]["resourceVersion"] != last_version:
            last_version, unchanged_since = body["metadata"]["resourceVersion"], now
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
