"""The API server of Kubeflow Pipelines: requests with a time limit, failures in one sentence.

`kfp.Client` has no time limit and waits for ever for a server that does not answer. So the OpenAPI
client below it is used, which sends the same requests.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from emotion_ai.errors import InputError, Unavailable

# KFP's own variable: a file with the token of an account.
TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - a name, no token
# To connect, and to answer: an upload is parsed and stored before it is answered.
_TIMEOUT_SECONDS = (10.0, 60.0)
_PAGE_SIZE = 100
_MAX_PAGES = 100
_MAX_MESSAGE = 300
# https://www.rfc-editor.org/rfc/rfc6750#section-2.1
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
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
        return f"kfp --endpoint {self.address}"


class NameTaken(InputError):
    """There is such an object already."""


class Missing(Unavailable):
    """There is no such object, or no such path."""


def connect(address: str) -> KfpServer:
    """Prepare requests to a server; none is sent yet.

    Args:
        address: Such as http://localhost:8888, also with a path.

    Raises:
        InputError: The address is no http:// or https:// one, or holds a password.
        Unavailable: The token's file cannot be read.
    """
    address = check_address(address)
    import kfp_server_api as api

    configuration = api.Configuration(host=address)
    # No repetition, which would write warnings, and no way to the page of a login.
    configuration.retries = False
    if path := os.environ.get(TOKEN_VARIABLE):
        configuration.api_key = {"authorization": _read_token(path)}
        configuration.api_key_prefix = {"authorization": "Bearer"}
    client = api.ApiClient(configuration)
    return KfpServer(
        address,
        pipelines=api.PipelineServiceApi(client),
        uploads=api.PipelineUploadServiceApi(client),
        experiments=api.ExperimentServiceApi(client),
        schedules=api.RecurringRunServiceApi(client),
        runs=api.RunServiceApi(client),
    )


def check_address(address: str) -> str:
    """Return the address without a slash at its end; raise `InputError` if it is none."""
    expected = "expected a URL such as http://localhost:8888"
    try:
        parts = urlsplit(address.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InputError(f"Kubeflow Pipelines' address: {error}; {expected}") from None
    if parts.username or parts.password:
        raise InputError(
            f"Kubeflow Pipelines' address holds a user or a password; leave them out and name a "
            f"token's file in {TOKEN_VARIABLE}"
        )
    if parts.query or parts.fragment:
        # Not shown: it may hold a token.
        raise InputError(
            f"Kubeflow Pipelines' address has more than host and path, after {parts.hostname}; "
            f"leave out what follows ? or #; {expected}"
        )
    if not valid:
        raise InputError(f"Kubeflow Pipelines' address {address!r}: {expected}")
    return address.strip().rstrip("/")


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
            f"{server.address}: Kubeflow Pipelines does not answer: {_in_one_line(error)}; is the "
            "address right, and `kubectl port-forward` running?"
        ) from None
    except (AttributeError, TypeError, ValueError) as error:
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
    if not isinstance(found, str) or not found:
        raise _not_kfp(server.address, f"an answer without {field}")
    return found


def _read_token(path: str) -> str:
    try:
        token = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise Unavailable(f"{TOKEN_VARIABLE}: {path}: no token: {_in_one_line(error)}") from None
    if not _TOKEN.fullmatch(token):
        # Never shown: it may be a token with something else around it.
        raise InputError(
            f"{TOKEN_VARIABLE}: {path}: expected one token and nothing else; write the token alone "
            "into the file"
        )
    return token


def _failure(address: str, error: Any) -> Exception:
    message = _message(error)
    if error.status == 409:
        return NameTaken(f"{address}: {message}")
    if error.status in _REFUSALS:
        return InputError(f"{address}: Kubeflow Pipelines refuses the request: {message}")
    if error.status in (401, 403):
        return Unavailable(
            f"{address}: Kubeflow Pipelines gives no access ({error.status}): {message}; name a "
            f"token's file in {TOKEN_VARIABLE}, or a namespace of yours"
        )
    if error.status == 404:
        return Missing(f"{address}: Kubeflow Pipelines failed (404): {message}")
    if error.status in (301, 302, 303, 307, 308):
        return _not_kfp(address, f"a redirection ({error.status}), such as to a login")
    return Unavailable(f"{address}: Kubeflow Pipelines failed ({error.status}): {message}")


def _message(error: Any) -> str:
    """The server's own sentence, without the stack that it may send too."""
    text = error.body or error.reason or ""
    try:
        answer = json.loads(text)
    except ValueError:
        return _in_one_line(text)
    if isinstance(answer, dict):
        text = answer.get("error_message") or answer.get("message") or answer.get("error") or text
    return _in_one_line(text)


def _not_kfp(address: str, reason: object) -> Unavailable:
    return Unavailable(
        f"{address}: this does not answer as Kubeflow Pipelines does: {_in_one_line(reason)}; name "
        "the address of its API server (ml-pipeline), or of its page"
    )


def _in_one_line(text: object) -> str:
    return " ".join(str(text).split())[:_MAX_MESSAGE]
