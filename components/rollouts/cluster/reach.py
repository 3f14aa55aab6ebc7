"""Reach a port of a pod: directly from inside the cluster, by port forwarding from outside."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from emotion_ai.errors import Unavailable
from emotion_ai.rollouts.cluster.api import Cluster, Object
from emotion_ai.rollouts.cluster.credentials import load_kubeconfig

_COPY_BYTES = 64 << 10


@contextlib.contextmanager
def reach_pod(cluster: Cluster, pod: Object, port: int) -> Iterator[str]:
    """Give an address for a port of a pod in the block.

    Args:
        cluster: The namespace.
        pod: The pod.
        port: Its port.

    Yields:
        HOST:PORT; from outside the cluster a local one, forwarded by the API server.

    Raises:
        Unavailable: The pod has no address.
    """
    if cluster.is_inside:
        yield pod_address(pod, port)
        return
    name = pod["metadata"]["name"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connect = _forwarder(cluster.namespace, name, port)
        threading.Thread(target=_accept, args=(listener, connect), daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def pod_address(pod: Object, port: int) -> str:
    """Return HOST:PORT of a pod; raise `Unavailable` where it has no address."""
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise Unavailable(f"pod {pod['metadata']['name']}: has no address")
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _forwarder(namespace: str, pod: str, port: int) -> Callable[[], Any]:
    def connect() -> Any:
        from kubernetes import client
        from kubernetes.stream import portforward

        # A client of its own: forwarding changes the client's way to send requests.
        settings = client.Configuration()
        load_kubeconfig(settings)
        api = client.CoreV1Api(client.ApiClient(settings))
        forward = portforward(
            api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port)
        )
        return forward.socket(port)

    return connect


def _accept(listener: socket.socket, connect: Callable[[], Any]) -> None:
    # OSError: the listener is closed at the end of the block.
    with contextlib.suppress(OSError):
        while True:
            caller, _ = listener.accept()
            threading.Thread(target=_forward, args=(caller, connect), daemon=True).start()


def _forward(caller: socket.socket, connect: Callable[[], Any]) -> None:
    # The caller sees a closed connection, which it reports with the address.
    with caller, contextlib.suppress(Exception):
        remote = connect()
        back = threading.Thread(target=_copy, args=(remote, caller), daemon=True)
        back.start()
        _copy(caller, remote)
        back.join()


def _copy(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_COPY_BYTES):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.close()
