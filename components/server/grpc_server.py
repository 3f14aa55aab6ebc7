"""Creates the asyncio gRPC server and binds its address."""

import socket

import grpc

from emotion_ai.errors import Unavailable
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import MAX_WATCHES

# For the few calls that are neither Predict nor health watches.
_OTHER_CALLS = 256
# Unpacked: gRPC stops unpacking there.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# A small request may stand for many rows.
_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_MESSAGE_LIMIT = "grpc.max_receive_message_length"
PORT_ADVICE = "choose another --port, or 0 for any free one"


def create_server(flags: ServerFlags) -> grpc.aio.Server:
    """Create the server; it has no address and no services yet."""
    options: dict[str, int | str] = {
        # Otherwise two servers could share a port, and each would receive some of the requests.
        "grpc.so_reuseport": 0,
        _MESSAGE_LIMIT: MAX_MESSAGE_BYTES,
        "grpc.max_send_message_length": _MAX_ANSWER_BYTES,
        # Callers may ask often whether the server is still there. By default it would close a
        # connection that pings four times in five minutes without data.
        "grpc.http2.min_ping_interval_without_data_ms": 1_000,
        **flags.channel_options(),
    }
    return grpc.aio.server(
        # Watches stay open: they must not take the places of requests. Each service has its limit.
        maximum_concurrent_rpcs=flags.max_requests() + MAX_WATCHES + _OTHER_CALLS,
        options=list(options.items()),
    )


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
    address = f"{flags.host}:{flags.port}"
    # Another program may have taken it while the models were loaded.
    check_address(flags.host, flags.port, PORT_ADVICE)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise Unavailable(f"{address}: cannot be listened on: {error}") from None


def check_address(host: str, port: int, advice: str) -> None:
    """Check that an address is local and free, without listening on it.

    Raises:
        Unavailable: It is in use or not local; the message ends with the advice.
    """
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
            f"{host}:{port}: cannot be listened on: {error.strerror}; {advice}"
        ) from None
