"""Objects in Google Cloud Storage: the remote implementation of `emotion_ai.storage`.

Credentials are the environment's (Application Default Credentials). If STORAGE_EMULATOR_HOST is
set, the client library sends its requests there, without credentials.
"""

import base64
import contextlib
import functools
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.storage import gcs_waiting, local
from emotion_ai.storage.uri import Entry, NotFound, join

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket, Client

_CHUNK_BYTES = 8 << 20

# The metadata key of an upload's random id.
_UPLOAD_KEY = "upload"


class AlreadyExists(Exception):
    """The object has another generation than the one to be replaced."""


def read_start(uri: str, size: int) -> bytes:
    """Read the first `size` bytes of an object, or all of it, in one request."""
    from google.api_core.exceptions import RequestRangeNotSatisfiable

    with translate_errors(uri):
        try:
            # Cloud Storage keeps no checksum of a part.
            return _blob(uri).download_as_bytes(
                end=size - 1, checksum=None, **_request_options(uri)
            )
        except RequestRangeNotSatisfiable:
            # An empty object has no first byte.
            return b""


def write(uri: str, data: bytes) -> None:
    """Write an object in one upload."""
    with translate_errors(uri):
        _blob(uri).upload_from_string(
            data, content_type="application/octet-stream", **_request_options(uri)
        )


def create(uri: str, data: bytes) -> bool:
    """Write an object if there is none."""
    try:
        put(uri, data, 0)
    except AlreadyExists:
        return False
    return True


def put(uri: str, source: Path | bytes, generation: int) -> int:
    """Write an object if its current generation is `generation`.

    Args:
        uri: A `gs://` URI.
        source: A local file, or the content itself.
        generation: The generation to replace; 0 if the object must not exist yet.

    Returns:
        The new generation.

    Raises:
        AlreadyExists: The object has another generation: another writer wrote it.
        Unavailable: The storage failed.
    """
    from google.api_core.exceptions import PreconditionFailed

    with _open_source(source) as file, translate_errors(uri):
        blob = _blob(uri)
        blob.metadata = {_UPLOAD_KEY: uuid.uuid4().hex}
        # The default chunk would hold 100 MB of a large file in memory.
        blob.chunk_size = _CHUNK_BYTES
        try:
            blob.upload_from_file(
                file,
                # With a known size, a small upload is a single request.
                size=file.seek(0, io.SEEK_END),
                rewind=True,
                content_type="application/octet-stream",
                if_generation_match=generation,
                **_request_options(uri),
            )
        except PreconditionFailed:
            # An upload is retried if its response is lost, and then finds its own first attempt.
            current = blob.bucket.get_blob(blob.name, **_request_options(uri))
            if (
                current is None
                or (current.metadata or {}).get(_UPLOAD_KEY) != blob.metadata[_UPLOAD_KEY]
            ):
                raise AlreadyExists(uri) from None
            return int(current.generation)
        return int(blob.generation)


def read_generation(uri: str) -> tuple[bytes, int]:
    """Read a small object: its content and the generation of that content."""
    with translate_errors(uri):
        blob = _current_blob(uri)
        data = blob.download_as_bytes(**_request_options(uri))
        return data, int(blob.generation)


def check_writable(uri: str) -> None:
    """Check that objects can be written and removed below a prefix."""
    probe = join(uri, f".write-check-{uuid.uuid4().hex}")
    write(probe, b"")
    remove(probe)


def exists(uri: str) -> bool:
    """Return whether there is an object of this name, or one in a folder of this name."""
    with translate_errors(uri):
        bucket, name = _split(uri)
        if name and bucket.blob(name).exists(**_request_options(uri)):
            return True
        return any(True for _ in _blobs(bucket, _folder_prefix(name), max_results=1))


def list_names(uri: str) -> list[str]:
    """List the objects and folders directly in a folder, sorted."""
    with translate_errors(uri):
        bucket, name = _split(uri)
        prefix = _folder_prefix(name)
        listing = _blobs(bucket, prefix, delimiter="/")
        names = {blob.name for blob in listing} | set(listing.prefixes)
        return sorted({name[len(prefix) :].rstrip("/") for name in names} - {""})


def is_folder(uri: str) -> bool:
    """Return whether there are objects in a folder of this name, and none of this name."""
    with translate_errors(uri):
        bucket, name = _split(uri)
        if name and bucket.blob(name).exists(**_request_options(uri)):
            return False
        return any(True for _ in _blobs(bucket, _folder_prefix(name), max_results=1))


def last_changes(uri: str) -> dict[str, float]:
    """Return the time of the newest object in each folder of a folder."""
    times: dict[str, float] = {}
    with translate_errors(uri):
        bucket, name = _split(uri)
        prefix = _folder_prefix(name)
        for blob in _blobs(bucket, prefix):
            folder, slash, _ = blob.name[len(prefix) :].partition("/")
            if folder and slash:
                times[folder] = max(times.get(folder, 0.0), blob.updated.timestamp())
    return times


def walk(uri: str) -> Iterator[Entry]:
    """Yield every object in a folder with its MD5, which composed objects lack.

    Hidden ones (`.name`) and the empty objects that represent folders are skipped.
    """
    with translate_errors(uri):
        bucket, name = _split(uri)
        prefix = _folder_prefix(name)
        for blob in _blobs(bucket, prefix):
            relative = blob.name[len(prefix) :]
            if relative and not relative.endswith("/") and "/." not in f"/{relative}":
                yield Entry(relative, base64.b64decode(blob.md5_hash or "").hex())


def open_binary(uri: str) -> BinaryIO:
    """Open an object's current generation; reads raise `NotFound` once it is replaced."""
    with translate_errors(uri):
        return cast(
            BinaryIO,
            _current_blob(uri).open("rb", chunk_size=_CHUNK_BYTES, **_request_options(uri)),
        )


def remove(uri: str, generation: int | None = None) -> None:
    """Remove an object, or only if it has this generation; do nothing if it does not exist."""
    from google.api_core.exceptions import NotFound as ObjectNotFound
    from google.api_core.exceptions import PreconditionFailed

    with translate_errors(uri), contextlib.suppress(ObjectNotFound, PreconditionFailed):
        _blob(uri).delete(if_generation_match=generation, **_request_options(uri))


def remove_folder(uri: str) -> None:
    """Remove every object in a folder, in the generation that is listed."""
    with translate_errors(uri):
        bucket, name = _split(uri)
        if not name:
            raise InputError(f"{uri}: names a bucket; a whole bucket is not removed here")
        for blob in list(_blobs(bucket, _folder_prefix(name))):
            remove(f"gs://{bucket.name}/{blob.name}", blob.generation)


@functools.cache
def _client(emulator: str | None) -> "Client":
    # A client owns a connection pool, so it is kept for the life of the process. The library reads
    # the emulator's address itself; it is an argument here only to be part of the cache key.
    from google.cloud.storage import Client

    return Client()


def _client_of_environment() -> "Client":
    return _client(os.environ.get("STORAGE_EMULATOR_HOST"))


def _split(uri: str) -> tuple["Bucket", str]:
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not bucket:
        raise InputError(f"{uri}: names no bucket; expected gs://bucket/name")
    try:
        return _client_of_environment().bucket(bucket), name.strip("/")
    except ValueError:
        raise InputError(f"{uri}: {bucket!r} cannot be the name of a bucket") from None


def _blob(uri: str) -> "Blob":
    bucket, name = _split(uri)
    if not name:
        raise InputError(f"{uri}: names a bucket; expected an object in it")
    return bucket.blob(name)


def _open_source(source: Path | bytes) -> BinaryIO:
    return local.open_binary(str(source)) if isinstance(source, Path) else io.BytesIO(source)


def _current_blob(uri: str) -> "Blob":
    bucket, name = _split(uri)
    current = bucket.get_blob(name, **_request_options(uri)) if name else None
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
        next(iter(_blobs(bucket, "", max_results=1)), None)
    except Forbidden:
        # An account may be allowed to read objects but not to list them.
        return
    except ObjectNotFound:
        raise InputError(
            f"gs://{bucket.name}: no such bucket; create it or name one that is there"
        ) from None


def _folder_prefix(name: str) -> str:
    return f"{name}/" if name else ""


def _blobs(bucket: "Bucket", prefix: str, **options: object) -> Any:
    return bucket.client.list_blobs(
        bucket, prefix=prefix, **_request_options(f"gs://{bucket.name}/{prefix}"), **options
    )


def _request_options(uri: str) -> dict[str, Any]:
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
            _check_bucket(_split(uri)[0])
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
