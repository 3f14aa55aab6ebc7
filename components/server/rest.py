"""TensorFlow Serving's REST API: predictions, status, metadata and metrics.

Sources: model_servers/http_rest_api_util.cc (paths), http_server.cc (codes, metrics) and
http_rest_api_handler.cc. Classification and regression, which no model here has, return 501.
"""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from google.protobuf import json_format
from grpc import StatusCode

from emotion_ai.errors import Unavailable
from emotion_ai.server.bounded_json import parse_object
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.http_server import MAX_BODY_BYTES, Answer, Request, http_server
from emotion_ai.server.inference_rest import InferenceApi
from emotion_ai.server.metadata import SIGNATURE_FIELD, get_model_metadata, get_model_status
from emotion_ai.server.metrics import CONTENT_TYPE, Metrics
from emotion_ai.server.predict_request import Answer as Written
from emotion_ai.server.predict_request import Incoming, Outputs
from emotion_ai.server.prediction_service import PredictionService
from emotion_ai.server.rest_predict import read_request
from emotion_ai.server.rpc import to_status_error
from emotion_ai.server.unpacking import is_packed, unpack
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

_MODEL_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]{1,18})|/labels/([^/:]+))?"
    r"(/metadata|:(?:classify|regress|predict))?",
    re.IGNORECASE,
)
REST_PORT_ADVICE = "choose another --rest_api_port"
_HTTP_CODES = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}
_JSON = "application/json"


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
    is_ready: Callable[[], bool],
    prediction: PredictionService | None,
    monitoring: Monitoring,
) -> Iterator[int]:
    """Serve HTTP on threads during a `with` block, which begins on the predictions' event loop.

    Args:
        host: The address to listen on; IPv6 in brackets.
        port: 0 is any free port.
        timeout_s: Seconds in which a request has to arrive, until the connection is closed, and a
            prediction's answer has to be there; None is never.
        manager: The loaded versions.
        is_ready: Whether the server is ready, as its health service says.
        prediction: Answers predictions; None refuses them.
        monitoring: The metrics and their path.

    Yields:
        The port.

    Raises:
        Unavailable: The address cannot be bound.
    """
    loop = asyncio.get_running_loop()
    reading = threading.Lock()

    def predict(body: bytes, read: Callable[[bytes], Incoming[Written]]) -> Written:
        if prediction is None:
            raise StatusError(
                StatusCode.PERMISSION_DENIED,
                "this server has --ssl_config_file, and HTTP is not encrypted: ask over gRPC",
            )
        # JSON holds the interpreter up: one body at a time, so that others wait for one alone.
        with reading:
            incoming = read(unpack(body, MAX_BODY_BYTES) if is_packed(body) else body)
        unwritten = Incoming[Outputs](incoming.message, lambda outputs: outputs)
        answer = prediction.answer(len(body), lambda: unwritten, timeout_s, "REST")
        # Written on this thread.
        return incoming.write(asyncio.run_coroutine_threadsafe(answer, loop).result())

    inference = InferenceApi(manager, is_ready, predict)

    def respond(request: Request) -> Answer:
        method, path = request.method, request.path
        try:
            if method == "GET" and monitoring.path is not None and path == monitoring.path:
                return Answer(200, CONTENT_TYPE, monitoring.metrics.render())
            if inference.is_asked(path):
                return inference.respond(request)
            spec, verb = _parse_path(method, path)
            if verb == ":predict":
                return Answer(200, _JSON, predict(request.body, partial(_read, manager, spec)))
            return Answer(200, _JSON, _describe(manager, spec, verb))
        except Exception as error:
            status_error = to_status_error(error)
            return _error(_HTTP_CODES.get(status_error.code, 500), status_error.message)

    with contextlib.ExitStack() as stack:
        try:
            bound = stack.enter_context(http_server(host, port, timeout_s, respond, _error))
        except OSError as error:
            raise Unavailable(
                f"{host}:{port}: cannot be listened on: {error.strerror}; {REST_PORT_ADVICE}"
            ) from None
        yield bound


def _parse_path(method: str, path: str) -> tuple[Any, str]:
    """Return the model that a path names, as a `ModelSpec`, and what is asked of it."""
    match = _MODEL_PATH.fullmatch(path)
    verb = (match[4] or "").lower() if match else ""
    if match is None or verb.startswith(":") != (method == "POST"):
        raise invalid_argument(f"Malformed request: {method} {path}")
    if verb in (":classify", ":regress"):
        raise StatusError(StatusCode.UNIMPLEMENTED, "no model here has such a signature")
    name, number, label, _ = match.groups()
    if not name:
        raise invalid_argument("Missing model name in request.")
    spec = messages.ModelSpec(name=name)
    if number is not None:
        spec.version.value = int(number)
    elif label is not None:
        spec.version_label = label
    return spec, verb


def _read(manager: VersionManager[Any], spec: Any, body: bytes) -> Incoming[str]:
    document = parse_object(body)
    with manager.use(spec) as (_, model):
        request = read_request(document, model.signatures)
    spec.signature_name = request.message.model_spec.signature_name
    request.message.model_spec.CopyFrom(spec)
    return request


def _describe(manager: VersionManager[Any], spec: Any, verb: str) -> str:
    if verb == "/metadata":
        request = messages.GetModelMetadataRequest(
            model_spec=spec, metadata_field=[SIGNATURE_FIELD]
        )
        return _to_json(get_model_metadata(manager, request))
    return _to_json(get_model_status(manager, messages.GetModelStatusRequest(model_spec=spec)))


def _to_json(message: Any) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
        descriptor_pool=messages.POOL,
    )


def _error(code: int, text: str) -> Answer:
    return Answer(code, _JSON, json.dumps({"error": text}, indent=4))
