"""Accept requests from the console's own page only, not from other sites in the browser.

Any site can make a browser send requests to 127.0.0.1: these have the site in Origin, which
browsers send with each POST and WebSocket (RFC 6454). Host is checked too; see `host_header`.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_ai.server.host_header import host_name, is_local_name

_REFUSAL = (
    "Refused: the console answers its own page only, at an IP address, at localhost or at the name "
    "that it was started with (--host).\n"
)
# https://www.w3.org/TR/CSP3/: the page loads and connects to this server only.
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
    # Results are personal data, and an update may change the page.
    "Cache-Control": "no-store",
}


class OriginGuardMiddleware:
    """ASGI middleware that rejects requests of other sites and sets security headers.

    Args:
        app: The application to protect.
        name: The host name that the console listens on, which is accepted in Host.
    """

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that is allowed; reject another with status 403."""
        if scope["type"] == "lifespan" or self._allows(Headers(scope=scope)):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            # Closing a socket before it is accepted rejects it with status 403.
            await receive()
            await send({"type": "websocket.close"})
        else:
            await PlainTextResponse(_REFUSAL, 403)(scope, receive, _with_headers(send))

    def _allows(self, headers: Headers) -> bool:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None or any(origin != f"http://{hosts[0]}" for origin in origins):
            return False
        return name == self._name or is_local_name(name)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            for name, value in _HEADERS.items():
                headers[name] = value
            message["headers"] = headers.raw
        await send(message)

    return send_with_headers
