"""How long a request to Cloud Storage is retried, and what is said while it has no answer."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

# How long a request is retried before the storage counts as down, and how long each try may take.
RETRY_SECONDS = 60.0
TIMEOUT_SECONDS = 30.0
# Pauses double up to this: a storage that is back is noticed within it.
MAX_PAUSE_SECONDS = 8.0
# After this long without an answer a person wants to know what is being waited for.
MESSAGE_AFTER_SECONDS = 5.0

_Call = Callable[..., Any]


def retry_with_message(uri: str, address: str) -> Callable[[_Call], _Call]:
    """Return what the client library takes for `retry`: repeats a request, and says that it waits.

    Args:
        uri: What the request is about.
        address: Where requests go, such as https://storage.googleapis.com.

    Returns:
        A function that wraps the function which sends the request.

    Example:
        blob.exists(retry=retry_with_message(uri, client.api_endpoint))
    """
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_timeout(RETRY_SECONDS).with_delay(maximum=MAX_PAUSE_SECONDS)

    def wrap(send: _Call) -> _Call:
        retried = retry(send)

        def send_and_wait(*args: Any, **options: Any) -> Any:
            with _message_if_slow(uri, address):
                return retried(*args, **options)

        return send_and_wait

    return wrap


@contextlib.contextmanager
def _message_if_slow(uri: str, address: str) -> Iterator[None]:
    """Write one line to standard error if the block takes long."""
    line = (
        f"waiting for Cloud Storage at {address} ({uri}): no answer for "
        f"{MESSAGE_AFTER_SECONDS:g} s; this gives up after {RETRY_SECONDS:g} s\n"
    )
    timer = threading.Timer(MESSAGE_AFTER_SECONDS, sys.stderr.write, (line,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
