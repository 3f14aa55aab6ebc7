"""A namespace of a Kubernetes cluster, read and changed by single requests to its API server.

Objects are dicts in the API's own JSON form, so manifests, patches and the API reference read
alike. A failed connection is retried; what the API server refuses is not.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.rollouts.cluster.credentials import load_credentials

Object = dict[str, Any]

# How long requests are repeated while no API server answers, and how long one may take.
OUTAGE_SECONDS = 60.0
_REQUEST_SECONDS = 10.0
# After this long without an answer a person wants to know what is being waited for.
_MESSAGE_AFTER_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_MAX_LOG_BYTES = 64 << 10
# Statuses that say "not now".
_RETRIED = frozenset({0, 429, 500, 502, 503, 504})

_PATHS = {
    "deployments": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "replicasets": "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "jobs": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
    "events": "/api/v1/namespaces/{namespace}/events",
}
_REVIEWS = "/apis/{group}/{name}"


class NotFound(InputError):
    """There is no such object."""


class Forbidden(InputError):
    """The account lacks a right, or an admission policy refuses the request."""


class NotAccepted(Forbidden):
    """The credentials are none that the cluster accepts."""


class Conflict(Unavailable):
    """The object was changed by others since it was read, or exists already."""


class ApiUnavailable(Unavailable):
    """The API server does not answer; says nothing about a release."""


class Response(NamedTuple):
    """An answer of the API server: HTTP status (0: none came), and the body or the reason."""

    status: int
    body: Any
    reason: str = ""


# (method, path, query, content type, body) -> Response
Transport = Callable[[str, str, Mapping[str, str], str, Any], Response]


class Cluster:
    """The namespace of a rollout.

    Args:
        transport: Sends one request; see `connect`.
        namespace: The namespace of every object.
        address: The API server's address, for messages.
        is_inside: Whether this process runs in the cluster and reaches its pods directly.
    """

    def __init__(
        self, transport: Transport, namespace: str, address: str, is_inside: bool = True
    ) -> None:
        self._transport = transport
        self.namespace = namespace
        self.address = address
        self.is_inside = is_inside

    def get(self, kind: str, name: str) -> Object:
        """Read an object; raise `NotFound` if there is none."""
        return self._send("GET", self._path(kind, name))

    def list(self, kind: str, labels: Mapping[str, str]) -> list[Object]:
        """List the objects with these labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        items = self._send("GET", self._path(kind), {"labelSelector": selector}).get("items")
        return list(items or [])

    def create(self, kind: str, body: Object) -> Object:
        """Create an object; raise `Conflict` if its name is taken."""
        return self._send("POST", self._path(kind), {"fieldManager": "emotion-ai-rollout"}, body)

    def update(self, kind: str, name: str, body: Object) -> Object:
        """Replace an object; raise `Conflict` if its resourceVersion is not the current one."""
        return self._send("PUT", self._path(kind, name), {}, body)

    def patch(self, kind: str, name: str, body: Object) -> Object:
        """Merge a patch into an object; a resourceVersion in it must be the current one."""
        query = {"fieldManager": "emotion-ai-rollout"}
        path = self._path(kind, name)
        return self._send("PATCH", path, query, body, "application/strategic-merge-patch+json")

    def delete(self, kind: str, name: str, grace_s: int | None = None) -> None:
        """Delete an object and what belongs to it; one that is gone already is no error."""
        body: Object = {"propagationPolicy": "Background"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            self._send("DELETE", self._path(kind, name), {}, body)
        except NotFound:
            return

    def log(self, pod: str, container: str) -> str:
        """Return the last lines of a container's log; "" if there is none."""
        query = {"container": container, "tailLines": "20", "limitBytes": str(_MAX_LOG_BYTES)}
        try:
            return str(self._send("GET", self._path("pods", pod) + "/log", query))
        except (InputError, Unavailable):
            return ""

    def review(self, group: str, name: str, spec: Object) -> Object:
        """Ask the API server about this process's own account; return the review's status."""
        kinds = {"selfsubjectaccessreviews": "SelfSubjectAccessReview"}
        kind = kinds.get(name, "SelfSubjectReview")
        body = {"apiVersion": group, "kind": kind, "spec": spec}
        return dict(self._send("POST", _REVIEWS.format(group=group, name=name), {}, body)["status"])

    def _path(self, kind: str, name: str = "") -> str:
        path = _PATHS[kind].format(namespace=self.namespace)
        return f"{path}/{name}" if name else path

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        started, message_written = time.monotonic(), False
        while True:
            response = self._transport(method, path, query or {}, content_type, body)
            waited = time.monotonic() - started
            if response.status not in _RETRIED or waited > OUTAGE_SECONDS:
                break
            if waited > _MESSAGE_AFTER_SECONDS and not message_written:
                self._write_message(response.reason)
                message_written = True
            time.sleep(_RETRY_SECONDS)
        return self._checked(response, f"{method} {path.partition('/namespaces/')[2] or path}")

    def _write_message(self, reason: str) -> None:
        words = " ".join(reason.split())
        sys.stderr.write(
            f"waiting for cluster {self.address}: {words}; this gives up after "
            f"{OUTAGE_SECONDS:g} s\n"
        )

    def _checked(self, response: Response, request: str) -> Any:
        where = f"cluster {self.address}"
        if 200 <= response.status < 300:
            return response.body
        if response.status == 404:
            raise NotFound(f"{where}: {response.reason}")
        if response.status == 409:
            raise Conflict(f"{where}: {response.reason}")
        # An API server may take requests without credentials, as those of nobody.
        if response.status == 401 or 'User "system:anonymous"' in response.reason:
            raise NotAccepted(f"{where}: the credentials are not accepted; log in again")
        if response.status == 403:
            raise Forbidden(f"{where}: {response.reason}")
        if 400 <= response.status < 500 and response.status != 429:
            raise InputError(f"{where}: {request} is refused: {response.reason}")
        raise ApiUnavailable(f"{where}: no answer to {request}: {response.reason}")


def connect(namespace: str) -> Cluster:
    """Connect to the cluster of this pod, or else of the kubeconfig (KUBECONFIG, ~/.kube/config).

    Nothing is sent before the first request.

    Args:
        namespace: The namespace of the rollout.

    Raises:
        InputError: There is no cluster configured, or the client library is not installed.
    """
    settings, is_inside = load_credentials()
    from kubernetes import client

    settings.retries = False
    transport = open_transport(client.ApiClient(settings))
    return Cluster(transport, namespace, settings.host, is_inside)


def open_transport(api: Any) -> Transport:
    """Return the transport of a `kubernetes.client.ApiClient`."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    def send(
        method: str, path: str, query: Mapping[str, str], content_type: str, body: Any
    ) -> Response:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            raw, status, _ = api.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=_REQUEST_SECONDS,
            )
        except ApiException as error:
            reason = _reason(error)
            if not error.status and "CERTIFICATE" in reason:
                # Trying again does not help.
                raise InputError(
                    f"cluster {api.configuration.host}: its certificate is not trusted: {reason}; "
                    "expected the kubeconfig of this cluster"
                ) from None
            return Response(error.status or 0, None, reason)
        except (HTTPError, OSError) as error:
            return Response(0, None, _last_cause(error))
        text = raw.data.decode(errors="replace")
        return Response(status, text if path.endswith("/log") else json.loads(text))

    return send


def _reason(error: Any) -> str:
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _last_cause(error: BaseException) -> str:
    """The innermost reason, without the addresses of Python objects."""
    reason = getattr(error, "reason", None)
    text = str(reason if reason is not None else error)
    return text.rpartition("object at ")[2].partition(">: ")[2] or text
