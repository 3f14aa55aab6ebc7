"""The console as a command: listens, says where, opens the browser, and ends tidily."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence

from emotion_ai.client.detectors import open_detector
from emotion_ai.errors import InputError, Unavailable

_CONSOLE = ("starlette", "uvicorn", "websockets")
# What the pretrained networks are built and served with.
_EMBEDDED = ("tensorflow", "keras", "tensorflow_serving", "grpc_health")
_BACKLOG = 64
# More than a page has open, and than anybody needs.
_CONNECTIONS = 64
_GRACE_S = 2


def run_console(
    server: str, host: str, port: int, faces: str, opened: Callable[[str], None]
) -> None:
    """Serve the page until Ctrl-C or SIGTERM; prints its address, and gives it to `opened`.

    Args:
        server: HOST:PORT of the model server; "" runs one with the pretrained networks meanwhile.
        host: where to listen; port 0 is any free one.
        faces: the name of a detector, as in `detectors.open_detector`.

    To be called in the main thread. Raises `KeyboardInterrupt` once all has ended after Ctrl-C,
    `InputError` for arguments that cannot be and packages that are missing, and `Unavailable`
    naming an address that cannot be listened on.
    """
    _check_packages(_CONSOLE, "the console", "console")
    open_detector(faces)
    if not server:
        _check_packages(
            _EMBEDDED,
            "without --server HOST:PORT the console serves the networks that come with this "
            "package, and that",
            "console,train",
        )
    from emotion_ai.apps.console.application import application
    from emotion_ai.apps.console.model_server import Embedded, ModelServer, Named

    model_server: ModelServer = Named(server, faces) if server else Embedded(faces)
    with _listening(host, port) as listener:
        url = _url(host, listener.getsockname()[1])
        asked = f"model server {server}" if server else "with the pretrained networks"
        sys.stdout.write(f"console on {url} ({asked}); Ctrl-C ends it\n")
        sys.stdout.flush()
        opened(url)
        asyncio.run(_serve(application(model_server, faces, host), listener))


def open_browser(url: str) -> None:
    """Open the page in the browser, where there is a screen for one."""
    # Else a browser for terminals would take this one.
    seen = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform != "linux" or any(os.environ.get(name) for name in seen):
        webbrowser.open(url)


def _url(host: str, port: int) -> str:
    # Of all addresses of this machine, the one whose page may use the camera.
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def _check_packages(modules: Sequence[str], what: str, extra: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"{what} needs package {module}, which is not installed: "
                f"pip install 'emotion-ai[{extra}]'"
            )


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(f"{host}:{port}: cannot be listened on: {error.strerror}") from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise Unavailable(
                f"{host}:{port}: cannot be listened on: {error.strerror}; choose another --port, "
                "or 0 for any free one"
            ) from None
        yield listener


async def _serve(app: Callable, listener: socket.socket) -> None:
    import uvicorn

    from emotion_ai.apps.console.application import MAX_FRAME_BYTES

    class Server(uvicorn.Server):
        # Its own ends the process by the same signal, before anybody could say a word.
        capture_signals = contextlib.nullcontext  # type: ignore[assignment]

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = Server(config)
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    await server.serve(sockets=[listener])
    if signal.SIGINT in received:
        raise KeyboardInterrupt
