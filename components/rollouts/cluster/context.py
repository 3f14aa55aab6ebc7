"""What the parts of one rollout share: cluster, lease, request, and the record that grows."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from emotion_ai.registry.champion import read_champion
from emotion_ai.rollouts.cluster.api import Cluster, Conflict, Object
from emotion_ai.rollouts.cluster.canary import CANARY_LABELS, remove_canaries
from emotion_ai.rollouts.cluster.connections import PodConnections
from emotion_ai.rollouts.cluster.deployment import Deployment, holder_patch
from emotion_ai.rollouts.cluster.events import record_event
from emotion_ai.rollouts.cluster.journal import Journal
from emotion_ai.rollouts.cluster.lease import Lease
from emotion_ai.rollouts.cluster.promotion import fetch_deployment
from emotion_ai.rollouts.cluster.recovery import Observation, Wanted
from emotion_ai.rollouts.settings import RolloutSettings


class Request(NamedTuple):
    """A rollout that somebody asks for.

    Attributes:
        registry: A local folder or a gs:// URI.
        version: The release to roll out.
        run_id: The run that asks; "" for a person at the command line.
        may_go_back: Whether a newer release that serves may be replaced.
        reason: Why; "" for none.
    """

    registry: str
    version: int
    run_id: str = ""
    may_go_back: bool = True
    reason: str = ""


@dataclass
class Context:
    """A rollout under way.

    Attributes:
        cluster: Its namespace.
        lease: The held lease, with the journal.
        connections: To the servers of pods.
        settings: Its settings.
        registry: Where its releases are.
        wanted: The release to roll out, and for whom.
        reason: Why; "" for none.
        record: The record of the rollout.
        is_closed: Whether the rollout of the wanted release has ended, and the lease is free.
        unadoptable: A release of a person that does not come up or answer; None for none.
    """

    cluster: Cluster
    lease: Lease
    connections: PodConnections
    settings: RolloutSettings
    registry: str
    wanted: Wanted
    reason: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    is_closed: bool = False
    unadoptable: int | None = None

    @property
    def journal(self) -> Journal:
        """The journal as it was written last."""
        return self.lease.journal

    def read(self) -> Deployment:
        """Read the Deployment."""
        return fetch_deployment(self.cluster, self.settings.deployment)

    def observe(self) -> tuple[Observation, Deployment]:
        """Read what the next act depends on, and the Deployment with it."""
        deployment = self.read()
        jobs = self.cluster.list("jobs", CANARY_LABELS)
        found = Observation(
            journal=self.journal,
            release=deployment.release,
            champion=read_champion(self.registry),
            has_canaries=any("deletionTimestamp" not in job["metadata"] for job in jobs),
            is_adoptable=deployment.release != self.unadoptable,
        )
        return found, deployment

    def write(self, journal: Journal, **changes: Any) -> None:
        """Write the journal with changes; the act that it tells of follows."""
        self.lease.write(journal.model_copy(update={"since": _now(), **changes}))

    def close(self, journal: Journal) -> None:
        """Write the phase "done" and give the lease back."""
        self.lease.release(journal.model_copy(update={"phase": "done", "since": _now(), "job": ""}))
        self.is_closed = True

    def close_for(self, release: int, journal: Journal) -> None:
        """Write the phase "done"; where the release is the wanted one, this rollout ends."""
        if release == self.wanted.release:
            self.close(journal)
        else:
            self.write(journal, phase="done", job="")

    def fence(self) -> None:
        """Outdate what earlier holders of the lease have read of the Deployment.

        A process that froze between its read and its patch patches nothing any more.
        """

        def build(deployment: Deployment) -> Object:
            self.lease.check()
            return holder_patch(deployment, self.lease.holder)

        self.change(build)

    def change(self, build: Callable[[Deployment], Object | None]) -> Deployment:
        """Patch the Deployment: read it, write the lease, patch what was read; again on a conflict.

        Args:
            build: Called with the Deployment as it was read; writes the lease and returns the
                patch, or None if the Deployment is as it should be.

        Returns:
            The Deployment that was patched, as it was read.
        """
        while True:
            deployment = self.read()
            patch = build(deployment)
            with contextlib.suppress(Conflict):
                if patch is not None:
                    self.cluster.patch("deployments", deployment.name, patch)
                return deployment

    def remove_canaries(self) -> None:
        """Remove every canary; the lease is written first: they may be of another holder by now."""
        self.lease.check()
        remove_canaries(self.cluster)

    def tell(self, release: int, deployment: Deployment, reason: str, message: str) -> None:
        """Record an event of a release on the Deployment, and print it."""
        line = f"release {release}: {message}"
        say(line)
        record_event(self.cluster, deployment, reason, line)

    @contextlib.contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Record how long a phase takes."""
        at, started = _now(), time.monotonic()
        try:
            yield
        finally:
            seconds = round(time.monotonic() - started, 3)
            phases = self.record.setdefault("phases", [])
            phases.append({"name": phase, "at": at, "seconds": seconds})


def say(line: str) -> None:
    """Write a line to standard error at once, with the time of day: a rollout takes minutes."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
