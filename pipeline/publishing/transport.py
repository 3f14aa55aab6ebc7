"""HTTP requests with two bounds that KFP's OpenAPI client lacks: in all, and in bytes.

Its time limits count from the last byte, so a server that trickles would hold a command for ever.
"""

import io
import os
import queue
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3

from emotion_ai.errors import InputError

# OpenSSL's own variable: a file with the certificates of authorities.
AUTHORITIES_VARIABLE = "SSL_CERT_FILE"
# From the name's resolution to the last byte of the answer.
_TOTAL_SECONDS = 60.0
# After this long without an answer a person wants to know what is being waited for.
_MESSAGE_AFTER_SECONDS = 5.0
# A page of a hundred schedules, each with a pipeline of its own.
_MAX_ANSWER_BYTES = 32 * 1024 * 1024


class BoundedRequests(urllib3.PoolManager):
    """The connections of a client; raises `OSError` for an answer too slow or too long."""

    def request(self, method: str, url: str, **options: Any) -> urllib3.HTTPResponse:  # type: ignore[override]
        """Send a request and read its answer; arguments as in the base class."""
        send = super().request
        # Whoever asks reads the answer from memory.
        options["preload_content"] = False

        def send_and_read() -> urllib3.HTTPResponse:
            try:
                answer = send(method, url, **options)
            except urllib3.exceptions.SSLError as error:
                # The client trips over this one.
                raise OSError(_explain(error)) from None
            body = answer.read(_MAX_ANSWER_BYTES + 1, decode_content=True)
            if len(body) > _MAX_ANSWER_BYTES:
                answer.close()
                raise OSError(f"an answer of more than {_MAX_ANSWER_BYTES} bytes")
            return urllib3.HTTPResponse(
                io.BytesIO(body),
                headers=answer.headers,
                status=answer.status,
                reason=answer.reason,
                decode_content=False,
            )

        parts = urlsplit(url)
        return _within(_TOTAL_SECONDS, f"{parts.scheme}://{parts.netloc}", send_and_read)


def bounded_requests() -> BoundedRequests:
    """Return connections without repetition, which would write warnings, or redirection.

    Raises:
        InputError: The file of the authorities' certificates cannot be read.
    """
    authorities = os.environ.get(AUTHORITIES_VARIABLE)
    if authorities:
        try:
            ssl.create_default_context(cafile=authorities)
        except OSError as error:
            raise InputError(
                f"{AUTHORITIES_VARIABLE}: {authorities}: {error.strerror or error}; expected a PEM "
                "file with certificates of authorities"
            ) from None
    return BoundedRequests(
        retries=False, cert_reqs=ssl.CERT_REQUIRED, ca_certs=authorities or certifi.where()
    )


def _explain(error: urllib3.exceptions.SSLError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return str(error)
    return (
        f"its certificate is not trusted ({error}); if its authority is one of yours, name the "
        f"authority's file in {AUTHORITIES_VARIABLE}"
    )


def _within(
    seconds: float, address: str, work: Callable[[], urllib3.HTTPResponse]
) -> urllib3.HTTPResponse:
    """Do work in a thread that is left behind when its time is over; say so when it takes long.

    Only so the limit counts for all of it: a name's resolution, TLS, the upload and each byte.
    """
    outcomes: queue.SimpleQueue[urllib3.HTTPResponse | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put(work())
        except Exception as error:
            outcomes.put(error)

    threading.Thread(target=run, name="kfp-request", daemon=True).start()
    silent = min(seconds, _MESSAGE_AFTER_SECONDS)
    try:
        outcome = outcomes.get(timeout=silent)
    except queue.Empty:
        sys.stderr.write(
            f"waiting for Kubeflow Pipelines at {address}: no answer for {silent:g} s; this gives "
            f"up after {seconds:g} s at the latest\n"
        )
        try:
            outcome = outcomes.get(timeout=seconds - silent)
        except queue.Empty:
            raise TimeoutError(f"no whole answer within {seconds:g} s") from None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
