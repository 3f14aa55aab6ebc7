"""TensorFlow Serving's REST addresses for status, metadata and metrics.

Sources: model_servers/http_rest_api_util.cc (paths), http_server.cc (codes, metrics) and
http_rest_api_handler.cc. Prediction is gRPC's affair here: a POST is answered with 501.
"""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from google.protobuf import json_format
from grpc import StatusCode

from emotion_ai.errors import Unavailable
from emotion_ai.server.errors import StatusError, invalid
from emotion_ai.server.metadata import SIGNATURE_FIELD, model_metadata, model_status
from emotion_ai.server.metrics import CONTENT_TYPE, Metrics
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?(/metadata)?",
    re.IGNORECASE,
)
_PREDICTION = re.compile(r"/v1/models/[^:]+:(?:classify|regress|predict)", re.IGNORECASE)
_HTTP = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.NOT_FOUND: 404,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
}


class Monitoring(NamedTuple):
    """The metrics, and the path under which they are shown; None shows them nowhere."""

    metrics: Metrics
    path: str | None


@contextlib.contextmanager
def rest_server(
    host: str,
    port: int,
    timeout_s: float | None,
    manager: VersionManager[Any],
    monitoring: Monitoring,
) -> Iterator[int]:
    """Serve HTTP for the length of the block; gives the port, which is free where 0 is asked.

    Raises `Unavailable` naming an address that cannot be bound.
    """

    class Handler(_Handler):
        timeout = timeout_s

        def answer(self, path: str) -> tuple[str, str]:
            return _answer(path, manager, monitoring)

    try:
        server = ThreadingHTTPServer((host.strip("[]"), port), Handler)
    except OSError as error:
        raise Unavailable(
            f"{host}:{port}: cannot be listened on: {error.strerror}; choose another "
            "--rest_api_port"
        ) from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="rest", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "emotion-ai"
    sys_version = ""
    answer: Callable[[str], tuple[str, str]]

    def do_GET(self) -> None:
        """Answer with JSON, or with the metrics."""
        code, kind = 200, "application/json"
        try:
            kind, body = self.answer(self.path.partition("?")[0])
        except StatusError as refusal:
            code, body = _HTTP.get(refusal.code, 500), _error(refusal.message)
        self._send(code, kind, body)

    def do_POST(self) -> None:
        """Refuse: the body is not read, so the connection ends."""
        self.close_connection = True
        path = self.path.partition("?")[0]
        if _PREDICTION.fullmatch(path):
            self._send(501, "application/json", _error("predict over gRPC; this is status alone"))
        else:
            self._send(400, "application/json", _error(f"Malformed request: POST {path}"))

    def _send(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep quiet: a probe every few seconds would bury the log."""


def _answer(path: str, manager: VersionManager[Any], monitoring: Monitoring) -> tuple[str, str]:
    if monitoring.path is not None and path == monitoring.path:
        return CONTENT_TYPE, monitoring.metrics.page()
    match = _PATH.fullmatch(path)
    if match is None:
        raise invalid(f"Malformed request: GET {path}")
    name, number, label, metadata = match.groups()
    if not name:
        raise invalid("Missing model name in request.")
    request = messages.GetModelStatusRequest()
    if metadata:
        request = messages.GetModelMetadataRequest(metadata_field=[SIGNATURE_FIELD])
    request.model_spec.name = name
    if number is not None:
        request.model_spec.version.value = int(number)
    elif label is not None:
        request.model_spec.version_label = label
    answer = model_metadata if metadata else model_status
    return "application/json", _json(answer(manager, request))


def _json(message: Any) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
        descriptor_pool=messages.POOL,
    )


def _error(text: str) -> str:
    return json.dumps({"error": text}, indent=4)
