"""A small RTSP server: a video in MPEG-TS over RTP, within the connection."""

import contextlib
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PACKET_BYTES, _PACKETS = 188, 7
_SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    b"a=control:*\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
)


@dataclass
class RtspServer:
    """What the server was asked.

    Attributes:
        port: Its port on 127.0.0.1.
        requests: The request lines and headers that arrived, one text for each request.
    """

    port: int = 0
    requests: list[str] = field(default_factory=list)


def _reply(request: str, moved: tuple[str, str] | None) -> bytes:
    lines = request.splitlines()
    number = next(line for line in lines if line.lower().startswith("cseq:"))
    if moved and request.startswith(moved[0]):
        return f"RTSP/1.0 302 Moved\r\n{number}\r\nLocation: {moved[1]}\r\n\r\n".encode()
    head, body = f"RTSP/1.0 200 OK\r\n{number}\r\nSession: 1;timeout=60\r\n", b""
    match lines[0].split()[0]:
        case "OPTIONS":
            head += "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        case "DESCRIBE":
            head, body = f"{head}Content-Type: application/sdp\r\n", _SDP
            head += f"Content-Length: {len(body)}\r\n"
        case "SETUP":
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
    return f"{head}\r\n".encode() + body


def _rtp(video: bytes) -> Iterator[bytes]:
    for number, at in enumerate(range(0, len(video), _PACKETS * _PACKET_BYTES)):
        data = video[at : at + _PACKETS * _PACKET_BYTES]
        packet = struct.pack("!BBHII", 0x80, 33, number & 0xFFFF, number * 900, 1) + data
        yield b"$\0" + len(packet).to_bytes(2) + packet


@contextlib.contextmanager
def rtsp_server(
    video: Path, tls: ssl.SSLContext | None = None, moved: tuple[str, str] | None = None
) -> Iterator[RtspServer]:
    """Serve an MPEG-TS file once to each that plays it.

    Args:
        video: The file.
        tls: For rtsps.
        moved: The request that is answered by a redirect, such as DESCRIBE, and the address there.
    """
    data = video.read_bytes()
    served = RtspServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while request := self._read_request():
                    served.requests.append(request)
                    self.wfile.write(_reply(request, moved))
                    if request.startswith("PLAY"):
                        for packet in _rtp(data):
                            self.wfile.write(packet)
                        return

        def _read_request(self) -> str:
            lines = []
            while (line := self.rfile.readline(4096).decode()).strip():
                lines.append(line)
            return "".join(lines)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def finish_request(self, request: object, client_address: object) -> None:
            if tls is None:
                super().finish_request(request, client_address)
                return
            with (
                contextlib.suppress(OSError),
                tls.wrap_socket(request, server_side=True) as wrapped,  # type: ignore[arg-type]
            ):
                super().finish_request(wrapped, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        served.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield served
        server.shutdown()
