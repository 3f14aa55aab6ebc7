"""Open a video or a stream at an address, and reach no other one."""

import contextlib
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from emotion_ai.apps.watch.frames import Recording, check_size, frame_count
from emotion_ai.apps.watch.http_gateway import HttpGateway
from emotion_ai.apps.watch.live import LiveSource
from emotion_ai.apps.watch.opencv import CONTAINERS, load_opencv, open_capture
from emotion_ai.apps.watch.redaction import redact
from emotion_ai.apps.watch.rtsp_gateway import RtspGateway
from emotion_ai.errors import InputError, Unavailable

SCHEMES = ("rtsp", "rtsps", "http", "https")
# To connect, and to read a frame.
_TIMEOUT_MS = 10_000
# What FFmpeg may read and open; a gateway is all that it is told of. With a proxy that is none, it
# does not ask the environment's for the gateway.
_HTTP = {
    "format_whitelist": f"{CONTAINERS},mpjpeg,mjpeg",
    "protocol_whitelist": "http,tcp",
    "http_proxy": "none",
}
_RTSP = {
    "format_whitelist": "rtsp,mpegts",
    "protocol_whitelist": "tcp",
    "rtsp_transport": "tcp",
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
        InputError: It is no address, it redirects to another one, or its frames are too large or
            too small.
        Unavailable: There is no video at this address, or no certificate that is trusted.
    """
    load_opencv()
    parts = _split(address)
    is_http = parts.scheme in ("http", "https")
    name = redact(address)
    gateway = HttpGateway(parts) if is_http else RtspGateway(parts)
    with contextlib.closing(gateway):
        source = _open(gateway, name, _HTTP if is_http else _RTSP)
        with contextlib.closing(source):
            yield source


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        valid = parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{redact(address)}: expected an address such as rtsp://HOST:PORT/PATH")
    return parts


def _open(
    gateway: HttpGateway | RtspGateway, name: str, limits: dict[str, str]
) -> LiveSource | Recording:
    cv2 = load_opencv()
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
    capture = open_capture(gateway.url, limits, timeouts)
    if not capture.isOpened():
        raise gateway.failure or Unavailable(
            f"{name}: no video answers there that can be read; playlists (HLS, DASH) are not "
            "followed: name the address of the stream itself"
        )
    check_size(capture, name)
    if gateway.has_length or frame_count(capture):
        return Recording(capture, name)
    return LiveSource(capture, name)
