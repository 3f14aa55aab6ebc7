"""Creates the asyncio gRPC server and binds its address."""

import contextlib
import os
import resource
import socket
import stat
from pathlib import Path

import grpc

from emotion_ai.errors import Unavailable
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import MAX_WATCHES

# For the few calls that are neither Predict nor health watches.
_OTHER_CALLS = 256
# As it comes, and unpacked.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# A small request may stand for many rows.
_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_MAX_CONNECTIONS = 10_000
# The REST API's connections, TensorFlow, and the files of a release while it is loaded.
_OTHER_DESCRIPTORS = 160
_MESSAGE_LIMIT = "grpc.max_receive_message_length"
PORT_ADVICE = "choose another --port, or 0 for any free one"


def create_server(flags: ServerFlags) -> grpc.aio.Server:
    """Create the server; it has no address and no services yet."""
    options: dict[str, int | str] = {
        # Otherwise two servers could share a port, and each would receive some of the requests.
        "grpc.so_reuseport": 0,
        _MESSAGE_LIMIT: MAX_MESSAGE_BYTES,
        # `unpacking.py` does that.
        "grpc.per_message_decompression": 0,
        "grpc.max_send_message_length": _MAX_ANSWER_BYTES,
        # Callers may ask often whether the server is still there. By default it would close a
        # connection that pings four times in five minutes without data.
        "grpc.http2.min_ping_interval_without_data_ms": 1_000,
        # Connections that say nothing, or are not of this protocol, end.
        "grpc.server_handshake_timeout_ms": 5_000,
        "grpc.max_connection_idle_ms": 600_000,
        # So does one whose other side has vanished.
        "grpc.keepalive_time_ms": 60_000,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.max_concurrent_streams": 1_024,
        "grpc.max_allowed_incoming_connections": _max_connections(),
        **flags.channel_options(),
    }
    return grpc.aio.server(
        # Watches stay open: they must not take the places of requests. Each service has its limit.
        maximum_concurrent_rpcs=flags.max_requests() + MAX_WATCHES + _OTHER_CALLS,
        options=list(options.items()),
    )


def _max_connections() -> int:
    """Return how many connections leave file descriptors for everything else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(16, min(_MAX_CONNECTIONS, soft - _OTHER_DESCRIPTORS))


def message_limit(flags: ServerFlags) -> int:
    """Return the largest size of a request; --grpc_channel_arguments may set another."""
    return int(flags.channel_options().get(_MESSAGE_LIMIT, MAX_MESSAGE_BYTES))


def bind(
    server: grpc.aio.Server, flags: ServerFlags, credentials: grpc.ServerCredentials | None
) -> int:
    """Bind the address of the flags, with TLS if there are credentials; returns the port.

    Raises:
        Unavailable: The address cannot be bound.
    """
    address = flags.address(flags.port)
    # Another program may have taken it while the models were loaded.
    check_address(flags, flags.port, PORT_ADVICE)
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
        if flags.grpc_socket_path:
            address = f"--grpc_socket_path {flags.grpc_socket_path}"
            # Files have owners and modes: no TLS, as in TensorFlow Serving.
            server.add_insecure_port(f"unix:{flags.grpc_socket_path}")
    except RuntimeError as error:
        raise Unavailable(f"{address}: cannot be listened on: {error}") from None
    return port


def check_socket_path(path: str) -> None:
    """Check that a socket can be made under a path; gRPC replaces one that is there.

    Raises:
        Unavailable: It cannot; the message names the path.
    """
    if os.path.lexists(path) and stat.S_ISSOCK(os.lstat(path).st_mode):
        return
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(path)
    except OSError as error:
        raise Unavailable(
            f"--grpc_socket_path {path}: cannot be listened on: {error.strerror or error}; name a "
            "file that can be made"
        ) from None
    Path(path).unlink()


def check_address(flags: ServerFlags, port: int, advice: str) -> None:
    """Check that the flags' host, with a port, is local and free, without listening on it.

    Raises:
        Unavailable: It is in use or not local; the message ends with the advice.
    """
    # gRPC's own error is several lines of its internals and does not say what is wrong.
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            flags.host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Unavailable(
            f"{flags.address(port)}: cannot be listened on: {error.strerror}; {advice}"
        ) from None
