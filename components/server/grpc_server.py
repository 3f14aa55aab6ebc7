"""Creates the asyncio gRPC server and binds its address."""

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc

from emotion_ai.errors import Unavailable
from emotion_ai.server.flags import ServerFlags

# Threads for all methods but Predict: a reload may wait for a model while the others go on.
_NUM_THREADS = 4
_MAX_CONCURRENT_RPCS = 4096
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024


def create_server(flags: ServerFlags) -> grpc.aio.Server:
    """Create the server; it has no address and no services yet.

    Raises:
        Unavailable: The address of the flags is in use or not local.
    """
    _check_address(flags.host, flags.port)
    options: dict[str, int | str] = {
        # Otherwise two servers could share a port, and each would receive some of the requests.
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": _MAX_MESSAGE_BYTES,
        "grpc.max_send_message_length": _MAX_MESSAGE_BYTES,
        **flags.channel_options(),
    }
    return grpc.aio.server(
        migration_thread_pool=ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="call"),
        maximum_concurrent_rpcs=flags.grpc_max_threads or _MAX_CONCURRENT_RPCS,
        options=list(options.items()),
    )


def bind(
    server: grpc.aio.Server, flags: ServerFlags, credentials: grpc.ServerCredentials | None
) -> int:
    """Bind the address of the flags, with TLS if there are credentials; returns the port.

    Raises:
        Unavailable: The address cannot be bound.
    """
    address = f"{flags.host}:{flags.port}"
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise Unavailable(f"{address}: cannot be listened on: {error}") from None


def _check_address(host: str, port: int) -> None:
    # gRPC's own error is several lines of its internals and does not say what is wrong.
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Unavailable(
            f"{host}:{port}: cannot be listened on: {error.strerror}; choose another --port, or 0 "
            "for any free one"
        ) from None
