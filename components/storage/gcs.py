"""Objects in Google Cloud Storage, for `emotion_ai.storage` and the registry.

Credentials are the environment's own (Application Default Credentials); where
STORAGE_EMULATOR_HOST is set, the client library talks to that address without any.
"""

import base64
import contextlib
import functools
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.storage import local
from emotion_ai.storage.uri import Entry, NotFound

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket, Client

# How long a request is repeated before the storage counts as down, and how long each may take.
_RETRY_SECONDS = 60.0
_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 8 << 20


# Metadata by which an upload is known again.
_UPLOAD = "upload"


class AlreadyExists(Exception):
    """The object is not of the generation that it was to replace."""


def read_start(uri: str, size: int) -> bytes:
    """The first `size` bytes of an object or all of it, in one request."""
    from google.api_core.exceptions import RequestRangeNotSatisfiable

    with failures(uri):
        try:
            # A part has no checksum that it could be compared with.
            return _blob(uri).download_as_bytes(
                end=size - 1, checksum=None, timeout=_TIMEOUT_SECONDS, retry=_retry()
            )
        except RequestRangeNotSatisfiable:
            # The object is empty.
            return b""


def write(uri: str, data: bytes) -> None:
    """Replace an object by `data` in one upload."""
    with failures(uri):
        _blob(uri).upload_from_string(
            data,
            content_type="application/octet-stream",
            timeout=_TIMEOUT_SECONDS,
            retry=_retry(),
        )


def put(uri: str, source: Path | bytes, generation: int) -> int:
    """Replace the object of this generation, 0 for none yet, and return the new generation.

    Raises `AlreadyExists` where the object is of another generation, which means that someone else
    wrote.
    """
    from google.api_core.exceptions import PreconditionFailed

    with _opened(source) as file, failures(uri):
        blob = _blob(uri)
        blob.metadata = {_UPLOAD: uuid.uuid4().hex}
        # Else 100 MB of a large file would be in memory.
        blob.chunk_size = _CHUNK_BYTES
        try:
            blob.upload_from_file(
                file,
                # Known beforehand, it makes a small upload one request.
                size=file.seek(0, io.SEEK_END),
                rewind=True,
                content_type="application/octet-stream",
                if_generation_match=generation,
                timeout=_TIMEOUT_SECONDS,
                retry=_retry(),
            )
        except PreconditionFailed:
            # An upload whose answer was lost is repeated, and then meets itself.
            found = blob.bucket.get_blob(blob.name, timeout=_TIMEOUT_SECONDS, retry=_retry())
            if found is None or (found.metadata or {}).get(_UPLOAD) != blob.metadata[_UPLOAD]:
                raise AlreadyExists(uri) from None
            return int(found.generation)
        return int(blob.generation)


def read_generation(uri: str) -> tuple[bytes, int]:
    """The content of a small object and the generation that it belongs to."""
    with failures(uri):
        blob = _current(uri)
        data = blob.download_as_bytes(timeout=_TIMEOUT_SECONDS, retry=_retry())
        return data, int(blob.generation)


def exists(uri: str) -> bool:
    """Whether there is an object of this name, or one below it."""
    with failures(uri):
        bucket, name = _split(uri)
        if name and bucket.blob(name).exists(timeout=_TIMEOUT_SECONDS, retry=_retry()):
            return True
        return any(True for _ in _blobs(bucket, _folder(name), max_results=1))


def list_names(uri: str) -> list[str]:
    """Names of the objects and folders directly below, sorted."""
    with failures(uri):
        bucket, name = _split(uri)
        prefix = _folder(name)
        listing = _blobs(bucket, prefix, delimiter="/")
        names = {blob.name for blob in listing} | set(listing.prefixes)
        return sorted({name[len(prefix) :].rstrip("/") for name in names} - {""})


def is_folder(uri: str) -> bool:
    """Whether there are objects below this name and none of this name."""
    with failures(uri):
        bucket, name = _split(uri)
        if name and bucket.blob(name).exists(timeout=_TIMEOUT_SECONDS, retry=_retry()):
            return False
        return any(True for _ in _blobs(bucket, _folder(name), max_results=1))


def walk(uri: str) -> Iterator[Entry]:
    """Every object below a name, with the MD5 that Cloud Storage keeps (composed ones have none).

    Hidden ones (`.name`) and the empty objects that stand for folders are left out.
    """
    with failures(uri):
        bucket, name = _split(uri)
        prefix = _folder(name)
        for blob in _blobs(bucket, prefix):
            below = blob.name[len(prefix) :]
            if below and not below.endswith("/") and not f"/{below}".count("/."):
                yield Entry(below, base64.b64decode(blob.md5_hash or "").hex())


def open_binary(uri: str) -> BinaryIO:
    """The object as it is now, opened for reading; once it is replaced, reads raise `NotFound`."""
    with failures(uri):
        return cast(BinaryIO, _current(uri).open("rb", chunk_size=_CHUNK_BYTES, retry=_retry()))


def remove(uri: str, generation: int | None = None) -> None:
    """Remove an object, or its one generation; nothing happens where that is not there."""
    from google.api_core.exceptions import NotFound as ObjectNotFound
    from google.api_core.exceptions import PreconditionFailed

    with failures(uri), contextlib.suppress(ObjectNotFound, PreconditionFailed):
        _blob(uri).delete(if_generation_match=generation, timeout=_TIMEOUT_SECONDS, retry=_retry())


def remove_folder(uri: str) -> None:
    """Remove every object below a name, as it is when it is listed."""
    with failures(uri):
        bucket, name = _split(uri)
        for blob in list(_blobs(bucket, _folder(name))):
            remove(f"gs://{bucket.name}/{blob.name}", blob.generation)


@functools.cache
def _client(emulator: str | None) -> "Client":
    # Kept for the life of the process: a client owns a connection pool. The library itself reads
    # the emulator's address; it is an argument so that another address makes another client.
    from google.cloud.storage import Client

    return Client()


def _split(uri: str) -> tuple["Bucket", str]:
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not bucket:
        raise InputError(f"{uri}: names no bucket; expected gs://bucket/name")
    return _client(os.environ.get("STORAGE_EMULATOR_HOST")).bucket(bucket), name.strip("/")


def _blob(uri: str) -> "Blob":
    bucket, name = _split(uri)
    if not name:
        raise InputError(f"{uri}: names a bucket; expected an object in it")
    return bucket.blob(name)


def _opened(source: Path | bytes) -> BinaryIO:
    return local.open_binary(str(source)) if isinstance(source, Path) else io.BytesIO(source)


def _current(uri: str) -> "Blob":
    bucket, name = _split(uri)
    found = bucket.get_blob(name, timeout=_TIMEOUT_SECONDS, retry=_retry()) if name else None
    if found is None:
        _check_bucket(bucket)
        raise NotFound(f"{uri}: no such object")
    # Chunks are separate requests: the generation keeps them from mixing two contents.
    return bucket.blob(name, generation=found.generation)


def _check_bucket(bucket: "Bucket") -> None:
    """Raise `InputError` where there is no such bucket; an absent object alone does not tell."""
    from google.api_core.exceptions import Forbidden
    from google.api_core.exceptions import NotFound as ObjectNotFound

    try:
        next(iter(_blobs(bucket, "", max_results=1)), None)
    except Forbidden:
        # Whoever may read objects need not be allowed to list them.
        return
    except ObjectNotFound:
        raise InputError(
            f"gs://{bucket.name}: no such bucket; create it or name one that is there"
        ) from None


def _folder(name: str) -> str:
    return f"{name}/" if name else ""


def _blobs(bucket: "Bucket", prefix: str, **options: object):  # type: ignore[no-untyped-def]
    return bucket.client.list_blobs(
        bucket, prefix=prefix, timeout=_TIMEOUT_SECONDS, retry=_retry(), **options
    )


def _retry() -> "Retry":
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(_RETRY_SECONDS)


@contextlib.contextmanager
def failures(uri: str) -> Iterator[None]:
    """Turn what the client library raises within the block into the project's own failures.

    `NotFound` for an object, `InputError` for a bucket that is not there, else `Unavailable`.
    """
    from google.api_core.exceptions import Forbidden, GoogleAPIError, Unauthorized
    from google.api_core.exceptions import NotFound as ObjectNotFound
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except ObjectNotFound:
        with failures(uri):
            _check_bucket(_split(uri)[0])
        raise NotFound(f"{uri}: no such object") from None
    except (Forbidden, Unauthorized, GoogleAuthError) as error:
        raise Unavailable(
            f"{uri}: Cloud Storage gives no access: {_reason(error)}; grant this account a role "
            "on the bucket, or name other credentials in GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    except (GoogleAPIError, OSError) as error:
        raise Unavailable(f"{uri}: Cloud Storage did not answer: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
