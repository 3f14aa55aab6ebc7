"""Open a video or a stream at an address, and reach no other one."""

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from emotion_ai.apps.watch.frames import Recording, check_size, frame_count
from emotion_ai.apps.watch.http_gateway import HttpGateway
from emotion_ai.apps.watch.live import LiveSource
from emotion_ai.apps.watch.opencv import CONTAINERS, load_opencv, open_capture
from emotion_ai.apps.watch.redaction import redact
from emotion_ai.apps.watch.tls_tunnel import TlsTunnel
from emotion_ai.errors import InputError, Unavailable

SCHEMES = ("rtsp", "rtsps", "http", "https")
# To connect, and to read a frame.
_TIMEOUT_MS = 10_000
# What FFmpeg may read and open. Its RTSP over UDP, and its redirects, would need other protocols.
_RTSP = {
    "format_whitelist": "rtsp,mpegts",
    "protocol_whitelist": "tcp",
    "rtsp_transport": "tcp",
}
# With a proxy that is none, it does not ask the environment's for the gateway.
_HTTP = {
    "format_whitelist": f"{CONTAINERS},mpjpeg,mjpeg",
    "protocol_whitelist": "http,tcp",
    "http_proxy": "none",
}


@contextlib.contextmanager
def open_address(address: str) -> Iterator[LiveSource | Recording]:
    """Open an rtsp, rtsps, http or https address for the length of the block.

    The certificates of rtsps and https are checked against those that this machine trusts, or those
    in the file that `SSL_CERT_FILE` names. Redirects are refused, and so are playlists.

    Args:
        address: The URL.

    Yields:
        A stream, or a recording if it has an end.

    Raises:
        InputError: It is no address, or its frames are too large or too small.
        Unavailable: There is no video at this address, or no certificate that is trusted.
    """
    load_opencv()
    parts, name = _split(address), redact(address)
    with contextlib.ExitStack() as stack:
        source: LiveSource | Recording
        if parts.scheme in ("http", "https"):
            gateway = stack.enter_context(contextlib.closing(HttpGateway(parts)))
            capture = _open(gateway.url, name, _HTTP, gateway)
            has_end = gateway.has_length or frame_count(capture)
            source = Recording(capture, name) if has_end else LiveSource(capture, name)
        else:
            if parts.scheme == "rtsps":
                address = stack.enter_context(contextlib.closing(TlsTunnel(parts))).url
            source = LiveSource(_open(address, name, _RTSP), name)
        yield stack.enter_context(contextlib.closing(source))


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        valid = parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{redact(address)}: expected an address such as rtsp://HOST:PORT/PATH")
    return parts


def _open(url: str, name: str, limits: dict[str, str], gateway: HttpGateway | None = None) -> Any:
    cv2 = load_opencv()
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
    capture = open_capture(url, limits, timeouts)
    if not capture.isOpened():
        raise (gateway and gateway.failure) or Unavailable(
            f"{name}: no video answers there that can be read; redirects and playlists (HLS, DASH) "
            "are not followed: name the address of the stream itself"
        )
    check_size(capture, name)
    return capture
