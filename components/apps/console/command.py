"""Run the console: listen, print the address, open the browser, and stop on a signal."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from emotion_ai.client.detectors import open_detector
from emotion_ai.errors import InputError, Unavailable, install_hint
from emotion_ai.terminal import END_SIGNALS

if TYPE_CHECKING:
    import uvicorn

_CONSOLE_PACKAGES = ("starlette", "uvicorn", "websockets")
_OWN_PACKAGES = ("ai_edge_litert",)
_BACKLOG = 64
_SHUTDOWN_TIMEOUT_S = 2


def run_console(
    server: str,
    host: str,
    port: int,
    faces: str,
    open_page: Callable[[str], None],
    about: Mapping[str, str] = {},
) -> None:
    """Serve the page until Ctrl-C or SIGTERM; call this in the main thread.

    Args:
        server: HOST:PORT of the model server; "" runs the pretrained networks in this process.
        host: The address to listen on.
        port: The port to listen on; 0 is any free one.
        faces: The name of a detector, as in `detectors.open_detector`.
        open_page: Called with the page's address once the console listens.
        about: The purpose by `PURPOSE`, if one is declared; the page shows and saves it.

    Raises:
        InputError: An argument is invalid or a package is not installed.
        Unavailable: The address cannot be listened on.
        KeyboardInterrupt: After Ctrl-C, once everything has stopped.
    """
    _check_packages(_CONSOLE_PACKAGES, "the console", "console")
    open_detector(faces)
    if not server:
        _check_packages(_OWN_PACKAGES, "the console without --server HOST:PORT", "console,local")
    from emotion_ai.apps.console.application import create_application
    from emotion_ai.apps.console.model_server import ModelServer, OwnNetworks, RemoteModelServer

    model_server: ModelServer = RemoteModelServer(server, faces) if server else OwnNetworks(faces)
    with _listen(host, port) as listener:
        url = _url(host, listener.getsockname()[1])
        model = f"model server {server}" if server else "with the pretrained networks"
        sys.stdout.write(f"console on {url} ({model}); Ctrl-C ends it\n")
        sys.stdout.flush()
        open_page(url)
        app = create_application(model_server, faces, host, about)
        asyncio.run(_serve(app, listener))


def open_browser(url: str) -> None:
    """Open the page in the browser; do nothing on Linux without a display."""
    # There a text browser would take over this terminal.
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform != "linux" or any(os.environ.get(name) for name in displays):
        webbrowser.open(url)


def _url(host: str, port: int) -> str:
    # Browsers allow the camera to pages at a loopback address.
    host = host.strip("[]")
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


def _check_packages(modules: Sequence[str], user: str, extra: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"{user} needs package {module}, which is not installed: {install_hint(extra)}"
            )


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(
            f"{host}:{port}: cannot listen on this address: {error.strerror}"
        ) from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise Unavailable(
                f"{host}:{port}: cannot listen on this address: {error.strerror}; choose another "
                "--port, or 0 for any free one"
            ) from None
        yield listener


async def _serve(app: Callable, listener: socket.socket) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        # uvicorn's handlers end the process by the same signal, without a message.
        capture_signals = contextlib.nullcontext  # type: ignore[assignment]

    server = Server(server_config(app))
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        server.should_exit = True

    for number in END_SIGNALS:
        # Windows' loop takes none: Ctrl-C ends the program by itself.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
    await server.serve(sockets=[listener])
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def server_config(app: Callable) -> "uvicorn.Config":
    """Configure uvicorn to serve the application to strangers."""
    import uvicorn

    from emotion_ai.apps.console.application import MAX_FRAME_BYTES
    from emotion_ai.apps.console.connections import CameraConnection, HttpConnection

    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=HttpConnection,
        ws=CameraConnection,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        # Strangers' mistakes are warnings.
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_defect)
    return config


def _is_defect(record: logging.LogRecord) -> bool:
    # What is under way when the console ends is cancelled after a while, and no defect.
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
