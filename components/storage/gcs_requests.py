"""Requests to Google Cloud Storage by its client library, and its errors as the project's own.

Credentials are the environment's (Application Default Credentials). If STORAGE_EMULATOR_HOST is
set, the client library sends its requests there, without credentials.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.storage import gcs_waiting
from emotion_ai.storage.uri import NotFound

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket, Client


@functools.cache
def _client(emulator: str | None) -> "Client":
    # A client owns a connection pool, so it is kept for the life of the process. The library reads
    # the emulator's address itself; it is an argument here only to be part of the cache key.
    from google.cloud.storage import Client

    return Client()


def _client_of_environment() -> "Client":
    return _client(os.environ.get("STORAGE_EMULATOR_HOST"))


def split(uri: str) -> tuple["Bucket", str]:
    """Return the bucket of a URI, and the name in it; "" for the bucket itself.

    Raises:
        InputError: The URI names no bucket.
    """
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not bucket:
        raise InputError(f"{uri}: names no bucket; expected gs://bucket/name")
    try:
        return _client_of_environment().bucket(bucket), name.strip("/")
    except ValueError:
        raise InputError(f"{uri}: {bucket!r} cannot be the name of a bucket") from None


def named_blob(uri: str) -> "Blob":
    """Return the object of a URI, which need not exist.

    Raises:
        InputError: The URI names no object.
    """
    bucket, name = split(uri)
    if not name:
        raise InputError(f"{uri}: names a bucket; expected an object in it")
    return bucket.blob(name)


def current_blob(uri: str) -> "Blob":
    """Look up an object, and return its current generation.

    Raises:
        NotFound: There is no such object.
        InputError: There is no such bucket.
    """
    bucket, name = split(uri)
    current = bucket.get_blob(name, **request_options(uri)) if name else None
    if current is None:
        _check_bucket(bucket)
        raise NotFound(f"{uri}: no such object")
    # Chunks are separate requests; with a fixed generation they are all of the same content.
    return bucket.blob(name, generation=current.generation)


def _check_bucket(bucket: "Bucket") -> None:
    """Raise `InputError` if there is no such bucket; a missing object raises the same error."""
    from google.api_core.exceptions import Forbidden
    from google.api_core.exceptions import NotFound as ObjectNotFound

    try:
        next(iter(list_blobs(bucket, "", max_results=1)), None)
    except Forbidden:
        # An account may be allowed to read objects but not to list them.
        return
    except ObjectNotFound:
        raise InputError(
            f"gs://{bucket.name}: no such bucket; create it or name one that is there"
        ) from None


def folder_prefix(name: str) -> str:
    """Return how the names of the objects in a folder begin."""
    return f"{name}/" if name else ""


def list_blobs(bucket: "Bucket", prefix: str, **options: object) -> Any:
    """Return an iterator of the objects whose names begin so."""
    return bucket.client.list_blobs(
        bucket, prefix=prefix, **request_options(f"gs://{bucket.name}/{prefix}"), **options
    )


def request_options(uri: str) -> dict[str, Any]:
    """How long each request may take, and how it is repeated."""
    return {
        "timeout": gcs_waiting.TIMEOUT_SECONDS,
        "retry": gcs_waiting.retry_with_message(uri, _client_of_environment().api_endpoint),
    }


@contextlib.contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Translate the client library's errors in the block to the project's own.

    A missing object is `NotFound`, a missing bucket `InputError`, anything else `Unavailable`.
    """
    from google.api_core.exceptions import Forbidden, GoogleAPIError, Unauthorized
    from google.api_core.exceptions import NotFound as ObjectNotFound
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except ObjectNotFound:
        with translate_errors(uri):
            _check_bucket(split(uri)[0])
        raise NotFound(f"{uri}: no such object") from None
    except (Forbidden, Unauthorized, GoogleAuthError) as error:
        raise Unavailable(
            f"{uri}: Cloud Storage gives no access: {_summarize(error)}; grant this account a role "
            "on the bucket, or name other credentials in GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    except (GoogleAPIError, OSError) as error:
        raise Unavailable(f"{uri}: Cloud Storage did not answer: {_summarize(error)}") from None


def _summarize(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
