"""Objects in Google Cloud Storage: the remote implementation of `emotion_ai.storage`."""

import base64
import contextlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from emotion_ai.errors import InputError
from emotion_ai.storage import local
from emotion_ai.storage.gcs_requests import (
    current_blob,
    folder_prefix,
    list_blobs,
    named_blob,
    request_options,
    split,
    translate_errors,
)
from emotion_ai.storage.uri import Entry, join

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
            return named_blob(uri).download_as_bytes(
                end=size - 1, checksum=None, **request_options(uri)
            )
        except RequestRangeNotSatisfiable:
            # An empty object has no first byte.
            return b""


def write(uri: str, data: bytes) -> None:
    """Write an object in one upload."""
    with translate_errors(uri):
        named_blob(uri).upload_from_string(
            data, content_type="application/octet-stream", **request_options(uri)
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
        blob = named_blob(uri)
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
                **request_options(uri),
            )
        except PreconditionFailed:
            # An upload is retried if its response is lost, and then finds its own first attempt.
            current = blob.bucket.get_blob(blob.name, **request_options(uri))
            if (
                current is None
                or (current.metadata or {}).get(_UPLOAD_KEY) != blob.metadata[_UPLOAD_KEY]
            ):
                raise AlreadyExists(uri) from None
            return int(current.generation)
        return int(blob.generation)


def _open_source(source: Path | bytes) -> BinaryIO:
    return local.open_binary(str(source)) if isinstance(source, Path) else io.BytesIO(source)


def read_generation(uri: str) -> tuple[bytes, int]:
    """Read a small object: its content and the generation of that content."""
    with translate_errors(uri):
        blob = current_blob(uri)
        data = blob.download_as_bytes(**request_options(uri))
        return data, int(blob.generation)


def check_writable(uri: str) -> None:
    """Check that objects can be written and removed below a prefix."""
    probe = join(uri, f".write-check-{uuid.uuid4().hex}")
    write(probe, b"")
    remove(probe)


def exists(uri: str) -> bool:
    """Return whether there is an object of this name, or one in a folder of this name."""
    return _has_object(uri) or _has_folder(uri)


def list_names(uri: str) -> list[str]:
    """List the objects and folders directly in a folder, sorted."""
    with translate_errors(uri):
        bucket, name = split(uri)
        prefix = folder_prefix(name)
        listing = list_blobs(bucket, prefix, delimiter="/")
        names = {blob.name for blob in listing} | set(listing.prefixes)
        return sorted({name[len(prefix) :].rstrip("/") for name in names} - {""})


def is_folder(uri: str) -> bool:
    """Return whether there are objects in a folder of this name, and none of this name."""
    return not _has_object(uri) and _has_folder(uri)


def _has_object(uri: str) -> bool:
    with translate_errors(uri):
        bucket, name = split(uri)
        return bool(name) and bool(bucket.blob(name).exists(**request_options(uri)))


def _has_folder(uri: str) -> bool:
    with translate_errors(uri):
        bucket, name = split(uri)
        return any(True for _ in list_blobs(bucket, folder_prefix(name), max_results=1))


def last_changes(uri: str) -> dict[str, float]:
    """Return the time of the newest object in each folder of a folder."""
    times: dict[str, float] = {}
    with translate_errors(uri):
        bucket, name = split(uri)
        prefix = folder_prefix(name)
        for blob in list_blobs(bucket, prefix):
            folder, slash, _ = blob.name[len(prefix) :].partition("/")
            if folder and slash:
                times[folder] = max(times.get(folder, 0.0), blob.updated.timestamp())
    return times


def walk(uri: str) -> Iterator[Entry]:
    """Yield every object in a folder with its MD5, which composed objects lack.

    Hidden ones (`.name`) and the empty objects that represent folders are skipped.
    """
    with translate_errors(uri):
        bucket, name = split(uri)
        prefix = folder_prefix(name)
        for blob in list_blobs(bucket, prefix):
            relative = blob.name[len(prefix) :]
            if relative and not relative.endswith("/") and "/." not in f"/{relative}":
                yield Entry(relative, base64.b64decode(blob.md5_hash or "").hex())


def open_binary(uri: str) -> BinaryIO:
    """Open an object's current generation; reads raise `NotFound` once it is replaced."""
    with translate_errors(uri):
        return cast(
            BinaryIO,
            current_blob(uri).open("rb", chunk_size=_CHUNK_BYTES, **request_options(uri)),
        )


def remove(uri: str, generation: int | None = None) -> None:
    """Remove an object, or only if it has this generation; do nothing if it does not exist."""
    from google.api_core.exceptions import NotFound as ObjectNotFound
    from google.api_core.exceptions import PreconditionFailed

    with translate_errors(uri), contextlib.suppress(ObjectNotFound, PreconditionFailed):
        named_blob(uri).delete(if_generation_match=generation, **request_options(uri))


def remove_folder(uri: str) -> None:
    """Remove every object in a folder, in the generation that is listed.

    Raises:
        InputError: The URI names a whole bucket.
        Unavailable: The storage failed.
    """
    with translate_errors(uri):
        bucket, name = split(uri)
        if not name:
            raise InputError(f"{uri}: names a bucket; a whole bucket is not removed here")
        for blob in list(list_blobs(bucket, folder_prefix(name))):
            remove(f"gs://{bucket.name}/{blob.name}", blob.generation)
