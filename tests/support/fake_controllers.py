"""The controllers of a namespace in memory: Deployments, Jobs, kubelets and EndpointSlices."""

import contextlib
import hashlib
import json
from collections.abc import Iterator

from emotion_ai.rollouts.cluster.api import Object
from emotion_ai.rollouts.cluster.deployment import REVISION_ANNOTATION, template_release
from emotion_ai.rollouts.cluster.names import (
    APP,
    APP_LABEL,
    DIGEST_ANNOTATION,
    PODS_SERVICE,
    PROVEN_CONDITION,
    TRACK_LABEL,
)

from support.fake_api_server import ApiServer

JOB_LABEL = "batch.kubernetes.io/job-name"
_HASH_LABEL = "pod-template-hash"


class Controllers:
    """Bring about what a server's objects ask for: all of it after each change, or step by step.

    Attributes:
        at_once: Whether Deployments roll out at once; otherwise `step` or `settle` does it.
        has_quota: Whether Jobs get pods; otherwise as where a quota is used up.
        broken: For a release that does not start, the state of its server's container.
        unfetched: For a release that the Deployment's pods cannot fetch, the state of their init
            container.
    """

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._objects = server.objects
        self._pods = 0
        self._busy = False
        self.at_once = True
        self.has_quota = True
        self.broken: dict[int, Object] = {}
        self.unfetched: dict[int, Object] = {}
        server.controllers = self._after_change

    def settle(self) -> None:
        """Roll out what there is to roll out."""
        while self.step():
            pass

    def step(self) -> bool:
        """Start or remove one pod of the Deployment; return whether there was one to move."""
        with self._server.lock, self._at_work():
            moved = self._move_one_pod()
            self._run_all()
            return moved

    def is_settled(self) -> bool:
        """Whether the Deployment's pods are all of its template."""
        with self._server.lock:
            template = self._objects["deployments"][APP]["spec"]["template"]
            return {key for key, _ in self._stable_pods()} == {_hash(template)}

    def _after_change(self) -> None:
        # What controllers write sets off no controllers.
        if not self._busy:
            with self._at_work():
                self._run_all()
                while self.at_once and self._move_one_pod():
                    self._run_all()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _run_all(self) -> None:
        self._run_jobs()
        for pod in list(self._objects["pods"].values()):
            self._run_pod(pod)
        self._list_endpoints()
        if APP in self._objects["deployments"]:
            self._write_status()

    def _stable_pods(self) -> list[tuple[str, str]]:
        """The template hash and name of each pod of the Deployment."""
        labels = [(p["metadata"]["labels"], n) for n, p in self._objects["pods"].items()]
        return [(found[_HASH_LABEL], name) for found, name in labels if _HASH_LABEL in found]

    def _move_one_pod(self) -> bool:
        if APP not in self._objects["deployments"]:
            return False
        deployment = self._objects["deployments"][APP]
        template, wanted = deployment["spec"]["template"], deployment["spec"].get("replicas", 1)
        new = _hash(template)
        self._take_up_replica_set(deployment, new)
        pods = self._stable_pods()
        updated = [name for key, name in pods if key == new]
        old = [name for key, name in pods if key != new]
        ready = [n for n in updated if _is_ready(self._objects["pods"][n])]
        # The first pods all at once, later ones one by one: maxSurge 1.
        surge = len(pods) <= wanted and len(ready) == len(updated)
        if len(updated) < wanted and (surge or not old):
            self._start_pod(template, {_HASH_LABEL: new}, f"{APP}-{new}")
            return True
        # Old pods go as new ones are available: maxUnavailable 0.
        if old and len(ready) + len(old) > wanted:
            self._server.remove("pods", old[0])
            return True
        return False

    def _take_up_replica_set(self, deployment: Object, key: str) -> None:
        sets, name = self._objects["replicasets"], f"{APP}-{key}"
        revisions = [int(s["metadata"]["annotations"][REVISION_ANNOTATION]) for s in sets.values()]
        newest = max(revisions, default=0)
        if name not in sets:
            template = deployment["spec"]["template"]
            labels = template["metadata"]["labels"] | {_HASH_LABEL: key}
            owner = {"kind": "Deployment", "name": APP, "uid": deployment["metadata"]["uid"]}
            metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
            self._server.add("replicasets", {"metadata": metadata, "spec": {"template": template}})
        elif int(sets[name]["metadata"]["annotations"][REVISION_ANNOTATION]) == newest:
            return
        revision = {"metadata": {"annotations": {REVISION_ANNOTATION: str(newest + 1)}}}
        self._server.change("replicasets", name, revision)
        self._server.change("deployments", APP, revision)

    def _write_status(self) -> None:
        deployment = self._objects["deployments"][APP]
        new = _hash(deployment["spec"]["template"])
        pods = self._stable_pods()
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(key == new for key, _ in pods),
            "availableReplicas": sum(_is_ready(self._objects["pods"][n]) for _, n in pods),
        }
        self._server.change("deployments", APP, {"status": status})

    def _start_pod(self, template: Object, labels: dict[str, str], name: str) -> None:
        self._pods += 1
        name = f"{name}-{self._pods}"
        metadata = template["metadata"] | {"name": name}
        metadata["labels"] = template["metadata"]["labels"] | labels
        spec = template["spec"] | {"nodeName": f"node-{self._pods % 2 + 1}"}
        status = {"podIP": f"10.0.0.{self._pods}", "conditions": []}
        self._server.add("pods", {"metadata": metadata, "spec": spec, "status": status})
        self._run_pod(self._objects["pods"][name])

    def _run_pod(self, pod: Object) -> None:
        """Start its server, unless it has no release to fetch or a broken one."""
        release = template_release(pod)
        state = self.broken.get(release or 0, {"running": {}})
        unfetched = {} if is_canary(pod) else self.unfetched.get(release or 0, {})
        runs = release is not None and "running" in state and not unfetched
        conditions = {c["type"]: c for c in pod["status"]["conditions"]}
        gates = [g["conditionType"] for g in pod["spec"].get("readinessGates") or []]
        proven = conditions.get(PROVEN_CONDITION, {}).get("status") == "True"
        ready = runs and (PROVEN_CONDITION not in gates or proven)
        digest = (pod["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION, "")
        message = json.dumps({"content_digest": digest})
        init = {"terminated": {"exitCode": 0, "message": message}} if release else {"running": {}}
        for kind, is_true in (("ContainersReady", runs), ("Ready", ready)):
            conditions[kind] = {"type": kind, "status": "True" if is_true else "False"}
        status = {
            "conditions": list(conditions.values()),
            "initContainerStatuses": [{"name": "release", "state": unfetched or init}],
            "containerStatuses": [{"name": "server", "state": {} if unfetched else state}],
        }
        self._server.change("pods", pod["metadata"]["name"], {"status": status})

    def _run_jobs(self) -> None:
        owners = {
            n: p["metadata"]["labels"].get(JOB_LABEL) for n, p in self._objects["pods"].items()
        }
        for pod, job in owners.items():
            if job is not None and job not in self._objects["jobs"]:
                self._server.remove("pods", pod)
        for name, job in list(self._objects["jobs"].items()):
            if not self.has_quota:
                continue
            if "status" not in job:
                self._start_pod(job["spec"]["template"], {JOB_LABEL: name}, name)
                self._server.change("jobs", name, {"status": {"active": 1}})
            elif name not in owners.values():
                failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
                self._server.change("jobs", name, {"status": {"conditions": [failed]}})

    def _list_endpoints(self) -> None:
        endpoints = [
            {
                "conditions": {"ready": _is_ready(pod)},
                "targetRef": {"kind": "Pod", "name": name},
            }
            for name, pod in self._objects["pods"].items()
            if pod["metadata"]["labels"].get(APP_LABEL) == APP
        ]
        body = {
            "metadata": {
                "name": PODS_SERVICE,
                "labels": {"kubernetes.io/service-name": PODS_SERVICE},
            },
            "endpoints": endpoints,
        }
        self._objects["endpointslices"][PODS_SERVICE] = body


def is_canary(pod: Object) -> bool:
    """Whether a pod is a canary's."""
    return bool(pod["metadata"]["labels"].get(TRACK_LABEL) == "canary")


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _hash(template: Object) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
