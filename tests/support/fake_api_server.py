"""An API server in memory, at the level of single acts, for tests of what may happen between two.

`ApiServer.cluster` gives a real `Cluster`, whose requests this module answers. Before and after
each act a test may do anything: let a person act, refuse it, lose its answer, or end the process.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from emotion_ai.rollouts.cluster.api import Cluster, Object, Response

NAMESPACE = "emotion-ai"
# Lists whose items are merged by a field (the API's patchMergeKey); other lists are replaced.
_MERGE_KEYS = {"containers": "name", "initContainers": "name", "env": "name", "conditions": "type"}
_PATH = re.compile(r"/(?:api|apis/[^/]+)/v1/namespaces/([^/]+)/(\w+)(?:/([^/]+))?(?:/(\w+))?$")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Act(NamedTuple):
    """A request: who sends it, and what it asks.

    Attributes:
        process: Whose `Cluster` it is.
        verb: get, list, create, update, patch or delete.
        kind: The resource, with its subresource: "pods/status".
        name: The object; "" in a list, or where the body names it.
        body: What is sent; None if nothing is.
    """

    process: str
    verb: str
    kind: str
    name: str
    body: Any

    def __str__(self) -> str:
        return f"{self.process}: {self.verb} {self.kind} {self.name}".rstrip()


# May do anything; a response that it returns is given in place of the real one.
Before = Callable[[Act], Response | None]
After = Callable[[Act, Response], Response | None]


class ApiServer:
    """The objects of one namespace.

    Attributes:
        objects: By kind and name; a test may look and change, under `lock`.
        acts: Every request that was answered, in order; reviews left out.
        before: Called in turn before an act is done.
        after: Called in turn after it was done.
        controllers: Called after each change; they bring about what the objects ask for.
        denied: "verb resource" pairs that the account has no right to.
        writes: How often an object was changed.
    """

    def __init__(self) -> None:
        kinds = "deployments replicasets jobs pods endpointslices leases events"
        self.objects: dict[str, dict[str, Object]] = {kind: {} for kind in kinds.split()}
        self.acts: list[Act] = []
        self.before: list[Before] = []
        self.after: list[After] = []
        self.controllers: Callable[[], None] = lambda: None
        self.denied: set[str] = set()
        self.writes = 0
        self.lock = threading.RLock()

    def cluster(self, process: str = "A") -> Cluster:
        """Return a client of this server; its requests bear the name of a process."""

        def send(
            method: str, path: str, query: Mapping[str, str], content_type: str, body: Any
        ) -> Response:
            return self._answer(process, method, path, query, _copy(body))

        return Cluster(send, NAMESPACE, "https://fake", is_inside=True)

    def add(self, kind: str, body: Object) -> Object:
        """Create an object as a person or a controller does."""
        with self.lock:
            name = body["metadata"]["name"]
            given = {"uid": f"{kind}-{name}", "generation": 1}
            self._store(kind, {**body, "metadata": {**body["metadata"], **given}})
            self.controllers()
            return self.objects[kind][name]

    def change(self, kind: str, name: str, patch: Object) -> None:
        """Patch an object as a person or a controller does."""
        with self.lock:
            self._patch(kind, name, patch)
            self.controllers()

    def remove(self, kind: str, name: str) -> None:
        """Delete an object as a person or a controller does."""
        with self.lock:
            self.objects[kind].pop(name, None)
            self.writes += 1
            self.controllers()

    def do(self, act: Act, query: Mapping[str, str] | None = None) -> Response:
        """Do an act, as if its request had come."""
        with self.lock:
            self.acts.append(act)
            response = self._do(act, query or {})
            return response._replace(body=_copy(response.body))

    def _answer(
        self, process: str, method: str, path: str, query: Mapping[str, str], body: Any
    ) -> Response:
        if "/namespaces/" not in path:
            return Response(201, {"status": self._review(path, body)})
        found = _PATH.fullmatch(path)
        assert found, f"{path} is no path of this API server"
        assert found[1] == NAMESPACE
        kind = "/".join(filter(None, (found[2], found[4])))
        verb = _VERBS.get(method) or ("get" if found[3] else "list")
        act = Act(process, verb, kind, found[3] or "", body)
        for hook in self.before:
            answer = hook(act)
            if answer is not None:
                return answer
        response = self.do(act, query)
        for change in self.after:
            response = change(act, response) or response
        return response

    def _review(self, path: str, body: Any) -> Object:
        if path.endswith("/selfsubjectreviews"):
            return {"userInfo": {"username": "system:serviceaccount:kubeflow:pipeline-runner"}}
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        return {"allowed": f"{asked['verb']} {resource}" not in self.denied}

    def _do(self, act: Act, query: Mapping[str, str]) -> Response:
        if f"{act.verb} {act.kind}" in self.denied:
            return Response(403, None, f"{act.kind} is forbidden: cannot {act.verb} it")
        kind, _, subresource = act.kind.partition("/")
        if act.verb == "list":
            return Response(200, {"items": self._select(kind, query["labelSelector"])})
        if act.verb == "create":
            return self._create(kind, act.body)
        if act.name not in self.objects[kind]:
            return Response(404, None, f'{kind} "{act.name}" not found')
        if subresource == "log":
            return Response(200, self.objects[kind][act.name].get("log", ""))
        if act.verb == "get":
            return Response(200, self.objects[kind][act.name])
        if act.verb == "delete":
            return self._delete(kind, act.name)
        return self._write(act.verb, kind, act.name, act.body)

    def _select(self, kind: str, selector: str) -> list[Object]:
        wanted = set(selector.split(","))
        return [
            body
            for body in self.objects[kind].values()
            if wanted <= {f"{k}={v}" for k, v in body["metadata"].get("labels", {}).items()}
        ]

    def _create(self, kind: str, body: Object) -> Response:
        name = body["metadata"]["name"]
        if name in self.objects[kind]:
            return Response(409, None, f'{kind} "{name}" already exists')
        return Response(201, self.add(kind, body))

    def _delete(self, kind: str, name: str) -> Response:
        # A Job's pods go with it: the controllers see to that.
        self.remove(kind, name)
        return Response(200, {"status": "Success"})

    def _write(self, verb: str, kind: str, name: str, body: Object) -> Response:
        current = self.objects[kind][name]["metadata"]["resourceVersion"]
        read = body.get("metadata", {}).get("resourceVersion", current)
        if read != current:
            return Response(409, None, f'{kind} "{name}": the object has been modified')
        if verb == "update":
            self._store(kind, body)
        else:
            self._patch(kind, name, body)
        self.controllers()
        return Response(200, self.objects[kind][name])

    def _patch(self, kind: str, name: str, patch: Object) -> None:
        old = self.objects[kind][name]
        new = merge(old, patch)
        if new.get("spec") != old.get("spec"):
            generation = old["metadata"].get("generation", 1) + 1
            new["metadata"] = {**new["metadata"], "generation": generation}
        self._store(kind, new)

    def _store(self, kind: str, body: Object) -> None:
        name = body["metadata"]["name"]
        old = self.objects[kind].get(name)
        # As the real one: what changes nothing makes no new version.
        if old is None or _without_version(body) != _without_version(old):
            self.writes += 1
            metadata = {**body["metadata"], "resourceVersion": str(self.writes)}
            self.objects[kind][name] = {**body, "metadata": metadata}


def _without_version(body: Object) -> Object:
    return {**body, "metadata": {**body["metadata"], "resourceVersion": ""}}


def _copy(body: Any) -> Any:
    return json.loads(json.dumps(body))


def merge(old: Object, patch: Object) -> Object:
    """Apply a strategic merge patch: null removes, lists of `_MERGE_KEYS` are merged by item."""
    # Stored objects are never changed in place.
    new = dict(old)
    for key, value in patch.items():
        if key == "$patch":
            continue
        if value is None:
            new.pop(key, None)
        elif isinstance(value, dict):
            replaces = value.get("$patch") == "replace"
            new[key] = merge({} if replaces else new.get(key) or {}, value)
        elif isinstance(value, list) and key in _MERGE_KEYS:
            new[key] = _merge_lists(new.get(key) or [], value, _MERGE_KEYS[key])
        else:
            new[key] = value
    return new


def _merge_lists(old: list[Object], patch: list[Object], key: str) -> list[Object]:
    items = {item[key]: item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            items.pop(item[key], None)
        else:
            items[item[key]] = merge(items.get(item[key], {}), item)
    return list(items.values())
