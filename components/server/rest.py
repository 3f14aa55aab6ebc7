"""TensorFlow Serving's REST API for status, metadata and metrics.

Sources: model_servers/http_rest_api_util.cc (paths), http_server.cc (codes, metrics) and
http_rest_api_handler.cc. Predictions are available over gRPC only: a POST returns 501.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from google.protobuf import json_format
from grpc import StatusCode

from emotion_ai.errors import Unavailable
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.http_server import Answer, http_server
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
        timeout_s: Seconds in which a request has to arrive, until the connection is closed; None
            is never.
        manager: The loaded versions.
        monitoring: The metrics and their path.

    Yields:
        The port.

    Raises:
        Unavailable: The address cannot be bound.
    """

    def respond(method: str, path: str) -> Answer:
        try:
            if method == "POST":
                _refuse_post(path)
            content_type, body = _respond(path, manager, monitoring)
        except StatusError as error:
            return _error(_HTTP_CODES.get(error.code, 500), error.message)
        return Answer(200, content_type, body)

    refusal = _error(403, "the server does not answer to this Host")
    with contextlib.ExitStack() as stack:
        try:
            bound = stack.enter_context(http_server(host, port, timeout_s, respond, refusal))
        except OSError as error:
            raise Unavailable(
                f"{host}:{port}: cannot be listened on: {error.strerror}; {REST_PORT_ADVICE}"
            ) from None
        yield bound


def _refuse_post(path: str) -> NoReturn:
    if _PREDICTION_PATH.fullmatch(path):
        raise StatusError(StatusCode.UNIMPLEMENTED, "predictions are available over gRPC only")
    raise invalid_argument(f"Malformed request: POST {path}")


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


def _error(code: int, text: str) -> Answer:
    return Answer(code, "application/json", json.dumps({"error": text}, indent=4))
