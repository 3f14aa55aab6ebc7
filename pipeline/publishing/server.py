"""The API server of Kubeflow Pipelines: requests with a time limit, failures in one sentence.

`kfp.Client` has no time limit and waits for ever for a server that does not answer. So the OpenAPI
client below it is used, which sends the same requests.
"""

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.publishing.address import TOKEN_VARIABLE, check_address

# To connect, and between two bytes; all of a request has a limit of its own (transport.py).
_TIMEOUT_SECONDS = (10.0, 60.0)
_PAGE_SIZE = 100
_MAX_PAGES = 100
_MAX_MESSAGE = 300
# Of a text that becomes a message.
_MAX_READ = 10 * _MAX_MESSAGE
# https://www.rfc-editor.org/rfc/rfc6750#section-2.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# A UUID; it goes into commands that a person copies.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
# The request is wrong, or somebody else made what it wants to make.
_REFUSALS = {400, 409, 412, 413, 422}


class KfpServer(NamedTuple):
    """Where the server is, and the parts of its API."""

    address: str
    pipelines: Any
    uploads: Any
    experiments: Any
    schedules: Any
    runs: Any

    @property
    def command(self) -> str:
        """How kfp's command line is called for this server."""
        return shlex.join(["kfp", "--endpoint", self.address])


class NameTaken(InputError):
    """There is such an object already."""


class Missing(Unavailable):
    """There is no such object."""


def connect(address: str) -> KfpServer:
    """Prepare requests to a server; none is sent yet.

    Args:
        address: Such as http://localhost:8888, also with a path.

    Raises:
        InputError: The address is no http:// or https:// one, or holds a password; or the token's
            file or the authorities' file cannot be read.
    """
    address = check_address(address)
    import kfp_server_api as api

    from emotion_ai.pipeline.publishing.transport import bounded_requests

    configuration = api.Configuration(host=address)
    if path := os.environ.get(TOKEN_VARIABLE):
        configuration.api_key = {"authorization": _read_token(path)}
        configuration.api_key_prefix = {"authorization": "Bearer"}
    client = api.ApiClient(configuration)
    client.rest_client.pool_manager = bounded_requests()
    return KfpServer(
        address,
        pipelines=api.PipelineServiceApi(client),
        uploads=api.PipelineUploadServiceApi(client),
        experiments=api.ExperimentServiceApi(client),
        schedules=api.RecurringRunServiceApi(client),
        runs=api.RunServiceApi(client),
    )


def ask(server: KfpServer, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Send one request and return the answer.

    Args:
        server: The server.
        method: A method of one of its parts.
        args: Its arguments.
        options: Its named arguments; None is left out.

    Raises:
        NameTaken: There is such an object already.
        Missing: There is no such object.
        InputError: The server refuses the request; the message is its own.
        Unavailable: The server does not answer, gives no access, failed, or is another program.
    """
    import urllib3
    from kfp_server_api.exceptions import ApiException, OpenApiException

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return method(*args, _request_timeout=_TIMEOUT_SECONDS, **given)
    except ApiException as error:
        raise _failure(server.address, error) from None
    except OpenApiException:
        # An argument that the client does not take: a defect here.
        raise
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(
            f"{server.address}: Kubeflow Pipelines does not answer: {in_one_line(error)}; is the "
            "address right, http or https, and `kubectl port-forward` running?"
        ) from None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # The generated client reads any answer, and trips over those of other programs.
        raise _not_kfp(server.address, error) from None


def list_all(
    server: KfpServer, method: Callable[..., Any], field: str, *args: Any, **options: Any
) -> list[Any]:
    """List objects from all pages.

    Args:
        server: The server.
        method: A method that lists.
        field: Of its answers, which holds the objects.
        args: Its arguments.
        options: Its named arguments.
    """
    found: list[Any] = []
    token = None
    for _ in range(_MAX_PAGES):
        page = ask(server, method, *args, page_size=_PAGE_SIZE, page_token=token, **options)
        if page is None:
            raise _not_kfp(server.address, "an empty answer")
        found += getattr(page, field) or []
        token = page.next_page_token
        if not token:
            return found
    raise Unavailable(
        f"{server.address}: lists more than {_MAX_PAGES} pages; archive or delete what is not used"
    )


def named(name: str) -> str:
    """Return the filter for objects with this display name."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def require_id(server: KfpServer, answer: Any, field: str) -> str:
    """Return the id in an answer; pages that other programs answer with have none."""
    found = getattr(answer, field, None)
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise _not_kfp(server.address, f"an answer without {field}")
    return found


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{TOKEN_VARIABLE}: {path}: no token: {in_one_line(error)}; name a file that can be "
            "read, or unset the variable"
        ) from None
    if not _TOKEN.fullmatch(token):
        # Never shown: it may be a token with something else around it.
        raise InputError(
            f"{TOKEN_VARIABLE}: {path}: expected one token and nothing else; write the token alone "
            "into the file"
        )
    return token


def _failure(address: str, error: Any) -> Exception:
    sentence = _sentence(error)
    message = in_one_line(sentence or error.body or error.reason or "no reason is given")
    if error.status == 409:
        return NameTaken(f"{address}: {message}")
    if error.status in _REFUSALS:
        return InputError(f"{address}: Kubeflow Pipelines refuses the request: {message}")
    if error.status in (401, 403):
        return Unavailable(
            f"{address}: Kubeflow Pipelines gives no access ({error.status}): {message}; name a "
            f"token's file in {TOKEN_VARIABLE}, or a namespace of yours"
        )
    # Any program says "Not Found" of a path; this one says of an object which.
    if error.status == 404 and sentence in ("", "Not Found"):
        return _not_kfp(address, f"404 for what is below /apis/v2beta1 ({message})")
    if error.status == 404:
        return Missing(f"{address}: Kubeflow Pipelines failed (404): {message}")
    if error.status in (301, 302, 303, 307, 308):
        return _not_kfp(address, f"a redirection ({error.status}), such as to a login")
    return Unavailable(f"{address}: Kubeflow Pipelines failed ({error.status}): {message}")


def _sentence(error: Any) -> str:
    """The server's own sentence, without the stack that it may send too; "" if it is a page."""
    try:
        answer = json.loads(error.body or "")
    except (RecursionError, ValueError):
        return ""
    if not isinstance(answer, dict):
        return ""
    texts = (answer.get(key) for key in ("error_message", "message", "error"))
    return next((text for text in texts if text and isinstance(text, str)), "")


def _not_kfp(address: str, reason: object) -> Unavailable:
    return Unavailable(
        f"{address}: this does not answer as Kubeflow Pipelines does: {in_one_line(reason)}; "
        "expected the address of its API server (ml-pipeline) or of its page, such as "
        "http://localhost:8888, without /apis or the path of one page"
    )


def in_one_line(text: object) -> str:
    """Return what a server says in a line that a terminal can show."""
    line = " ".join(str(text)[:_MAX_READ].split())[:_MAX_MESSAGE]
    return "".join(letter if letter.isprintable() else "?" for letter in line)
