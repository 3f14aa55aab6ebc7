"""TensorFlow Serving's REST API for status, metadata and metrics.

Sources: model_servers/http_rest_api_util.cc (paths), http_server.cc (codes, metrics) and
http_rest_api_handler.cc. Predictions are available over gRPC only: a POST returns 501.
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
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.metadata import SIGNATURE_FIELD, get_model_metadata, get_model_status
from emotion_ai.server.metrics import CONTENT_TYPE, Metrics
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

_MODEL_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?(/metadata)?",
    re.IGNORECASE,
)
_PREDICTION_PATH = re.compile(r"/v1/models/[^:]+:(?:classify|regress|predict)", re.IGNORECASE)
REST_PORT_ADVICE = "choose another --rest_api_port"
_HTTP_CODES = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.NOT_FOUND: 404,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
}


class Monitoring(NamedTuple):
    """The metrics, and the HTTP path that returns them; None disables the path."""

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
    """Serve HTTP on a thread during a `with` block.

    Args:
        host: The address to listen on; IPv6 in brackets.
        port: 0 is any free port.
        timeout_s: Seconds after which an idle connection is closed; None is never.
        manager: The loaded versions.
        monitoring: The metrics and their path.

    Yields:
        The port.

    Raises:
        Unavailable: The address cannot be bound.
    """

    class Handler(_Handler):
        timeout = timeout_s

        def respond(self, path: str) -> tuple[str, str]:
            return _respond(path, manager, monitoring)

    try:
        server = ThreadingHTTPServer((host.strip("[]"), port), Handler)
    except OSError as error:
        raise Unavailable(
            f"{host}:{port}: cannot be listened on: {error.strerror}; {REST_PORT_ADVICE}"
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
    respond: Callable[[str], tuple[str, str]]

    def do_GET(self) -> None:
        """Return JSON, or the metrics."""
        code, content_type = 200, "application/json"
        try:
            content_type, body = self.respond(self.path.partition("?")[0])
        except StatusError as error:
            code, body = _HTTP_CODES.get(error.code, 500), _error_body(error.message)
        self._send(code, content_type, body)

    def do_POST(self) -> None:
        """Return an error: predictions are available over gRPC only."""
        # The body is not read, so the connection cannot be used again.
        self.close_connection = True
        path = self.path.partition("?")[0]
        if _PREDICTION_PATH.fullmatch(path):
            self._send(
                501, "application/json", _error_body("predictions are available over gRPC only")
            )
        else:
            self._send(400, "application/json", _error_body(f"Malformed request: POST {path}"))

    def _send(self, code: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a probe every few seconds would bury the log."""


def _respond(path: str, manager: VersionManager[Any], monitoring: Monitoring) -> tuple[str, str]:
    if monitoring.path is not None and path == monitoring.path:
        return CONTENT_TYPE, monitoring.metrics.render()
    match = _MODEL_PATH.fullmatch(path)
    if match is None:
        raise invalid_argument(f"Malformed request: GET {path}")
    name, number, label, metadata = match.groups()
    if not name:
        raise invalid_argument("Missing model name in request.")
    request = messages.GetModelStatusRequest()
    if metadata:
        request = messages.GetModelMetadataRequest(metadata_field=[SIGNATURE_FIELD])
    request.model_spec.name = name
    if number is not None:
        request.model_spec.version.value = int(number)
    elif label is not None:
        request.model_spec.version_label = label
    get = get_model_metadata if metadata else get_model_status
    return "application/json", _to_json(get(manager, request))


def _to_json(message: Any) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
        descriptor_pool=messages.POOL,
    )


def _error_body(text: str) -> str:
    return json.dumps({"error": text}, indent=4)
