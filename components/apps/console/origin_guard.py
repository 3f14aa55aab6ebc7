"""Who may ask: the page itself, and no other page that a browser has open.

Any site can make a browser send requests to 127.0.0.1, and give its own name that address once its
page is loaded (DNS rebinding). The first such request tells its site in Origin, which browsers send
with each POST and WebSocket (RFC 6454); the second has the site's name in Host, where an address in
figures or `localhost` cannot be another's.
"""

import ipaddress
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(:[0-9]{1,5})?")
_REFUSAL = (
    "Refused: the console answers its own page alone, under an address in figures, under localhost "
    "or under the name it was started with (--host).\n"
)
# https://www.w3.org/TR/CSP3/: the page loads, and talks to, what is served here, and nothing else.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Answers are about somebody's face; the page itself may be another version's tomorrow.
    "Cache-Control": "no-store",
}


class OriginGuardMiddleware:
    """ASGI middleware that refuses what another site may have sent, and sets the page's headers.

    `name` is the host name that the console was told to listen under, which may be in Host.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._names = {"localhost", name.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be asked."""
        if scope["type"] == "lifespan" or self._allows(Headers(scope=scope)):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # Before it was accepted, this refuses it with status 403.
            await receive()
            await send({"type": "websocket.close"})
        else:
            await PlainTextResponse(_REFUSAL, 403)(scope, receive, _with_headers(send))

    def _allows(self, headers: Headers) -> bool:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or any(origin != f"http://{hosts[0]}" for origin in origins):
            return False
        host = match[1].lower()
        return host in self._names or _is_figures(host.strip("[]"))


def _is_figures(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            for name, value in _HEADERS.items():
                headers[name] = value
            message["headers"] = headers.raw
        await send(message)

    return sending
