"""A cluster, a registry and its releases in memory and on disk, for tests of the rollout protocol.

Each release has a quality: "good"; "proof" if its golden answers are wrong; "bake" if they go wrong
while callers ask; "after" if they are wrong once it was promoted. Time is virtual: a process that
sleeps finds that its time has passed.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_ai.registry.champion import (
    ChampionReplaced,
    clear_champion,
    read_champion,
    write_champion,
)
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import WARMUP_PATH, read_release
from emotion_ai.rollouts.cluster import (
    adoption,
    api,
    bake,
    canary,
    closing,
    context,
    lease,
    preflight,
    promotion,
    protocol,
)
from emotion_ai.rollouts.cluster.api import Cluster, Object
from emotion_ai.rollouts.cluster.context import Request
from emotion_ai.rollouts.cluster.deployment import read_deployment, template_release
from emotion_ai.rollouts.cluster.journal import Journal, journal_annotation, read_journal
from emotion_ai.rollouts.cluster.names import (
    APP,
    APP_LABEL,
    DIGEST_ANNOTATION,
    LEASE,
    RELEASE_LABEL,
    TRACK_LABEL,
)
from emotion_ai.rollouts.settings import RolloutSettings, TlsFiles
from emotion_ai.serving_api.messages import PredictionLog
from emotion_ai.serving_api.tensors import fill_tensor

from support.fake_api_server import ApiServer
from support.fake_clock import Clock
from support.fake_controllers import Controllers
from support.fake_servers import FakeConnections
from support.minimal_release import write_minimal_release

SETTINGS = RolloutSettings(
    canary={"bake_s": 5, "max_bake_s": 5, "min_requests": 0}, wait_s=120, timeout_s=20, watch_s=5
)
RELEASES = 8
# What a rollout of a good release writes, in order, besides events and models.config.
WRITES = [
    "update leases",  # takes it
    "update leases",
    "patch deployments",  # the fence
    "update leases",  # canary
    "create jobs",
    "update leases",  # baking
    "patch pods/status",
    "update leases",  # promoting
    "patch deployments",
    "update leases",  # verifying
    "update leases",
    "patch pods/status",  # the canary leaves
    "delete jobs",
    "update leases",  # before models.config
    "update leases",  # done
]


def publish_releases(folder: Path) -> str:
    """Publish releases 1 to `RELEASES`, with one golden request each; return the registry."""
    registry = str(folder / "registry")
    log = PredictionLog()
    fill_tensor(log.predict_log.request.inputs["images"], np.zeros((1, 96, 96, 1), np.uint8))
    fill_tensor(log.predict_log.response.outputs["keypoints"], np.zeros((1, 15, 2), np.float32))
    from emotion_ai.registry.digest import file_digest
    from emotion_ai.serving_api.warmup import write_warmup

    for number in range(1, RELEASES + 1):
        files, draft = write_minimal_release(folder / "export", f"{number}" * 64)
        files[WARMUP_PATH] = folder / "export" / "warmup"
        write_warmup(str(files[WARMUP_PATH]), [log])
        digests = {name: file_digest(path) for name, path in files.items()}
        publish(registry, files, draft.model_copy(update={"files": digests}))
    return registry


class World:
    """A cluster that serves release 6, which is proven and the champion; or none yet.

    Attributes:
        server: The API server.
        controllers: The cluster's controllers.
        clock: The time of everybody.
        registry: The registry.
        quality: Of each release; good where nothing is said.
        before_champion: Called before models.config is written.
    """

    def __init__(
        self, registry: str, monkeypatch: pytest.MonkeyPatch, release: int | None = 6
    ) -> None:
        self.server = ApiServer()
        self.controllers = Controllers(self.server)
        self.clock = Clock()
        self.registry = registry
        self.quality: dict[int, str] = {}
        clear_champion(registry)
        if release is not None:
            write_champion(registry, release)
        self.server.add("leases", _lease(registry, release))
        self.server.add("deployments", _deployment(registry, release))
        for module in (api, canary, context, lease, preflight, promotion):
            monkeypatch.setattr(module, "time", self.clock)
        # Nobody acts between the seconds of a bake.
        monkeypatch.setattr(bake, "time", Clock())

        def connect(cluster: Cluster, tls: TlsFiles) -> Any:
            return FakeConnections(self.server, self.quality)

        # In virtual time, a test decides who stands still.
        monkeypatch.setattr(lease.Lease, "_renew", lambda held: None)
        self.before_champion: Callable[[], None] = lambda: None
        self._config_writes = 0
        self._monkeypatch = monkeypatch

        def write(registry: str, version: int, generation: int | None = None) -> None:
            self.before_champion()
            if generation not in (None, self._config_writes):
                raise ChampionReplaced("models.config was written by another rollout meanwhile")
            self._config_writes += 1
            write_champion(registry, version)

        monkeypatch.setattr(closing, "write_champion", write)
        for module in (adoption, preflight, protocol):
            monkeypatch.setattr(module, "PodConnections", connect)

    def roll_out(
        self,
        release: int,
        *,
        process: str = "A",
        run: str = "",
        may_go_back: bool = False,
        settings: RolloutSettings = SETTINGS,
        record: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Roll a release out, as a process of a run."""
        request = Request(self.registry, release, run or f"run-{process}", may_go_back)
        cluster = self.server.cluster(process)
        return protocol.roll_out_on(cluster, request, settings, record)

    def adopt(self, *, process: str = "R", settings: RolloutSettings = SETTINGS) -> str:
        """Adopt what a person rolled out, as the step resolve does."""
        cluster = self.server.cluster(process)
        return adoption.adopt_undo_on(cluster, self.registry, settings, f"run-{process}")

    def lose_registry_lock(self) -> None:
        """Let the registry's lock keep nobody out, as that of a process that stood still.

        Then generations of models.config, as a bucket has them, are all that protects it.
        """

        def generation(registry: str) -> int:
            return self._config_writes

        self._monkeypatch.setattr(closing, "exclusive_writer", contextlib.nullcontext)
        self._monkeypatch.setattr(closing, "champion_generation", generation)

    @property
    def deployed(self) -> int | None:
        """The Deployment's release."""
        return read_deployment(self.server.objects["deployments"][APP]).release

    @property
    def champion(self) -> int | None:
        """The release that models.config names."""
        return read_champion(self.registry)

    @property
    def journal(self) -> Journal:
        """The Lease's journal."""
        return read_journal(self.server.objects["leases"][LEASE])

    @property
    def holder(self) -> str:
        """Who holds the lease."""
        return str(self.server.objects["leases"][LEASE]["spec"].get("holderIdentity", ""))

    @property
    def canaries(self) -> list[int | None]:
        """The releases of canaries that are left."""
        jobs = self.server.objects["jobs"].values()
        return [template_release(job["spec"]["template"]) for job in jobs]

    @property
    def serving(self) -> set[int | None]:
        """The releases of the pods that callers reach."""
        cluster = self.server.cluster("test")
        return {template_release(pod) for pod in promotion.endpoint_pods(cluster)}

    def edit(self, release: int) -> None:
        """Set the Deployment's release, as `kubectl set env` does: nothing else changes."""
        variable = {"name": "RELEASE", "value": str(release)}
        template = {"spec": {"initContainers": [{"name": "release", "env": [variable]}]}}
        self.server.change("deployments", APP, {"spec": {"template": template}})

    def undo(self, release: int) -> None:
        """Put a release back, as `kubectl rollout undo` does: its template and annotations."""
        sets = self.server.objects["replicasets"].values()
        found = next(s for s in sets if template_release(s["spec"]["template"]) == release)
        template = {**found["spec"]["template"], "$patch": "replace"}
        self.server.change("deployments", APP, {"spec": {"template": template}})

    def restart(self) -> None:
        """Start the Deployment's pods again, as `kubectl rollout restart` does."""
        annotations = {"kubectl.kubernetes.io/restartedAt": str(self.server.writes)}
        template = {"metadata": {"annotations": annotations}}
        self.server.change("deployments", APP, {"spec": {"template": template}})

    def delete_canary(self) -> None:
        """Delete a canary's Job, as `kubectl delete job` does."""
        self.server.remove("jobs", next(iter(self.server.objects["jobs"])))

    def is_at_rest_with(self, release: int | None) -> bool:
        """Whether everything says that a release serves, and nothing is left of any rollout."""
        stated = (self.deployed, self.champion, self.journal.proven)
        left = (self.canaries, self.holder, self.journal.phase)
        return stated == (release,) * 3 and left == ([], "", "done")

    def writes(self, process: str) -> list[str]:
        """What a process has written, in order, such as "patch deployments"; events left out."""
        acts = [act for act in self.server.acts if act.process == process]
        written = [act for act in acts if act.verb not in ("get", "list") and act.kind != "events"]
        return [f"{act.verb} {act.kind}" for act in written]

    @property
    def events(self) -> list[str]:
        """The reasons of the events on the Deployment, in order."""
        return [event["reason"] for event in self.server.objects["events"].values()]

    @property
    def verdicts(self) -> dict[int, str]:
        """Why releases were judged bad, by release."""
        outcomes = self.journal.outcomes
        return {outcome.release: outcome.reason for outcome in outcomes if outcome.reason}


def _lease(registry: str, release: int | None) -> Object:
    # As k8s/base makes it, before the first rollout.
    metadata: Object = {"name": LEASE}
    if release is not None:
        digest = read_release(registry, release).content_digest
        journal = Journal(release=release, digest=digest, proven=release, proven_digest=digest)
        metadata["annotations"] = journal_annotation(journal)
    return {"metadata": metadata, "spec": {}}


def _deployment(registry: str, release: int | None) -> Object:
    env = [{"name": "REGISTRY", "value": registry}]
    metadata: Object = {"labels": {APP_LABEL: APP, TRACK_LABEL: "stable"}}
    if release is not None:
        env.append({"name": "RELEASE", "value": str(release)})
        metadata["labels"][RELEASE_LABEL] = str(release)
        digest = read_release(registry, release).content_digest
        metadata["annotations"] = {DIGEST_ANNOTATION: digest}
    spec = {
        "initContainers": [{"name": "release", "image": "base", "env": env}],
        "containers": [{"name": "server", "image": "serve"}],
    }
    return {
        "metadata": {"name": APP},
        "spec": {"replicas": 2, "template": {"metadata": metadata, "spec": spec}},
    }
