"""Pass one http or https address on to FFmpeg, over loopback.

FFmpeg itself neither checks a certificate's name nor refuses a redirect.
"""

import contextlib
import http.client
import http.server
import re
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlunsplit

from emotion_ai.apps.watch.redaction import redact
from emotion_ai.errors import EmotionAIError, InputError, Unavailable

# To connect, and to wait for data.
_TIMEOUT_S = 10.0
_CHUNK_BYTES = 64 * 1024
# All that an address may hold as it is; others, such as a space, are encoded.
_URL_CHARACTERS = "%/:=&?~+!$,;'@()*[]"
_HEADERS = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges")


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, *answer: Any) -> None:
        raise InputError(
            f"{redact(req.full_url)}: redirects to {redact(answer[-1])}; redirects are not "
            "followed: watch that address itself if you trust it"
        )


class HttpGateway:
    """A web server on loopback that answers with what one address answers.

    Args:
        address: The address, with the user name and the password if it needs them.

    Attributes:
        url: Where FFmpeg finds it; others on this machine do not know the path.
        has_length: Whether the address's last answer has a known length, unlike a stream.
        failure: Why the address does not answer, once it did not.
    """

    def __init__(self, address: SplitResult) -> None:
        self.has_length = False
        self.failure: EmotionAIError | None = None
        host = address.netloc.rpartition("@")[2]
        path, query = (quote(part, _URL_CHARACTERS) for part in (address.path, address.query))
        self._address = urlunsplit((address.scheme, host, path, query, ""))
        self._opener = _build_opener(self._address, address)
        own_path = f"/{secrets.token_urlsafe()}"
        handler = type("Handler", (_Handler,), {"gateway": self, "allowed_path": own_path})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}{own_path}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self, byte_range: str | None) -> Any:
        """Ask the address, and return its answer; None where `failure` says why there is none."""
        headers = {"Range": byte_range} if byte_range else {}
        name = redact(self._address)
        try:
            request = urllib.request.Request(self._address, headers=headers)  # noqa: S310
            answer = self._opener.open(request, timeout=_TIMEOUT_S)
        except EmotionAIError as error:
            self.failure = error
        except urllib.error.HTTPError as error:
            self.failure = Unavailable(f"{name}: no video answers there: {error.code}")
            error.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            # Without the number of the error, which is another one on each system.
            reason = getattr(reason, "strerror", None) or reason
            self.failure = Unavailable(f"{name}: no video answers there: {reason}")
        else:
            self.has_length = answer.headers["Content-Length"] is not None
            return answer
        return None

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def _build_opener(url: str, address: SplitResult) -> urllib.request.OpenerDirector:
    tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(_RefuseRedirects, tls)
    if address.username is not None:
        user, password = unquote(address.username), unquote(address.password or "")
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, url, user, password)
        opener.add_handler(urllib.request.HTTPBasicAuthHandler(passwords))
        opener.add_handler(urllib.request.HTTPDigestAuthHandler(passwords))
    return opener


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Report nothing: FFmpeg may end a connection at any time."""


class _Handler(http.server.BaseHTTPRequestHandler):
    gateway: HttpGateway
    allowed_path: str

    def do_GET(self) -> None:
        """Answer FFmpeg."""
        if not secrets.compare_digest(self.path.encode(), self.allowed_path.encode()):
            self.send_error(http.HTTPStatus.NOT_FOUND)
            return
        answer = self.gateway.open(self.headers["Range"])
        if answer is None:
            self.send_error(http.HTTPStatus.BAD_GATEWAY)
            return
        with answer, contextlib.suppress(OSError, http.client.HTTPException):
            self._send_head(answer)
            while data := answer.read1(_CHUNK_BYTES):
                self.wfile.write(data)

    def _send_head(self, answer: Any) -> None:
        headers = {name: answer.headers[name] for name in _HEADERS if answer.headers[name]}
        status, length = answer.status, headers.get("Content-Length", "")
        begin = re.fullmatch(r"bytes=(\d{1,15})-", self.headers["Range"] or "")
        if begin and status == http.HTTPStatus.OK and length.isdecimal():
            # The server knows no ranges, but the index of many an MP4 is at its end.
            start, total = min(int(begin[1]), int(length)), int(length)
            _skip(answer, start)
            status = http.HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            headers["Content-Length"] = f"{total - start}"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _skip(answer: Any, count: int) -> None:
    while count and (data := answer.read1(min(count, _CHUNK_BYTES))):
        count -= len(data)
