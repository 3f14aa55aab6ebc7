"""The Open Inference Protocol over HTTP, with the binary tensors that tritonclient sends.

Source: https://github.com/kserve/open-inference-protocol, and for binary tensors
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from emotion_ai.server.errors import invalid_argument
from emotion_ai.server.http_server import Answer, Request
from emotion_ai.server.inference_json import JSON_LENGTH, read_infer
from emotion_ai.server.inference_metadata import is_model_ready, model_metadata, server_metadata
from emotion_ai.server.inference_request import model_spec
from emotion_ai.server.predict_request import Incoming
from emotion_ai.server.versions import VersionManager

_PREFIX = "/v2"
_HEALTH = re.compile(r"/v2/health/(live|ready)/?")
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(ready|infer))?/?")
_JSON = "application/json"
# Answers a body with what its reader's `write` makes of the outputs.
Predict = Callable[[bytes, Callable[[bytes], Incoming[Answer]]], Answer]


class InferenceApi:
    """Answers paths below /v2.

    Args:
        manager: The loaded versions.
        is_ready: Whether the server is ready.
        predict: Reads a request and answers it.
    """

    def __init__(
        self, manager: VersionManager[Any], is_ready: Callable[[], bool], predict: Predict
    ) -> None:
        self._manager = manager
        self._is_ready = is_ready
        self._predict = predict

    @staticmethod
    def is_asked(path: str) -> bool:
        """Whether a path is one of this protocol's."""
        return path == _PREFIX or path.startswith(f"{_PREFIX}/")

    def respond(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            StatusError: It is refused.
        """
        method, path = request.method, request.path
        if method == "GET" and path.rstrip("/") == _PREFIX:
            server = server_metadata()
            return _answer(200, _fields(server, "name", "version", "extensions"))
        if method == "GET" and (health := _HEALTH.fullmatch(path)):
            return _state(health[1], health[1] == "live" or self._is_ready())
        model = _MODEL.fullmatch(path)
        if model is None or (model[3] == "infer") != (method == "POST"):
            raise invalid_argument(f"Malformed request: {method} {path}")
        name, version = unquote(model[1]), unquote(model[2] or "")
        if model[3] == "infer":
            length = _json_length(request)
            read = partial(read_infer, model_spec(name, version), length)
            return self._predict(request.body, read)
        if model[3] == "ready":
            return _state("ready", is_model_ready(self._manager, name, version))
        return _describe(model_metadata(self._manager, name, version))


def _json_length(request: Request) -> int | None:
    """Return how many bytes of the body are JSON; None is all of them."""
    length = request.headers.get(JSON_LENGTH)
    if length is None:
        return None
    if not (length.isascii() and length.isdecimal() and len(length) < 10):
        raise invalid_argument(f"{JSON_LENGTH}: expected a number of bytes")
    return int(length)


def _state(name: str, is_so: bool) -> Answer:
    return _answer(200 if is_so else 503, {name: is_so})


def _describe(metadata: Any) -> Answer:
    tensors = {
        kind: [_fields(tensor, "name", "datatype", "shape") for tensor in getattr(metadata, kind)]
        for kind in ("inputs", "outputs")
    }
    return _answer(200, _fields(metadata, "name", "versions", "platform") | tensors)


def _fields(message: Any, *names: str) -> dict[str, Any]:
    # protobuf's own JSON has 64-bit numbers as text.
    values = {name: getattr(message, name) for name in names}
    return {name: v if isinstance(v, str) else list(v) for name, v in values.items()}


def _answer(code: int, document: Any) -> Answer:
    return Answer(code, _JSON, json.dumps(document))
