"""URIs of files: a path, `file://` or `gs://`."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from emotion_ai.errors import InputError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


class NotFound(InputError):
    """There is no file or folder at this URI."""


class Entry(NamedTuple):
    """A file in a folder.

    Attributes:
        name: The path relative to the folder, with slashes.
        md5: The hexadecimal MD5 of its content, "" if unknown.
    """

    name: str
    md5: str


def is_remote(uri: str) -> bool:
    """Return whether the URI is in Cloud Storage; raise `InputError` for an unsupported scheme."""
    scheme = _SCHEME.match(uri)
    if scheme is None or scheme[1] == "file":
        return False
    if scheme[1] == "gs":
        return True
    raise InputError(
        f"{uri}: scheme {scheme[1]}:// cannot be read or written here; expected a path or gs://"
    )


def local_path(uri: str) -> Path:
    """Return the path of a local URI; raise `InputError` for a remote one."""
    if is_remote(uri):
        raise InputError(f"{uri}: a local folder is needed here")
    if "\0" in uri:
        raise InputError(f"{uri!r}: a path holds no zero character")
    return Path(unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri)


def join(uri: str, *names: str) -> str:
    """Join names to a URI with slashes.

    Example:
        >>> join("gs://bucket/models", "7", "saved_model.pb")
        'gs://bucket/models/7/saved_model.pb'
    """
    if uri.startswith("file://"):
        names = tuple(quote(name) for name in names)
    return "/".join([uri.rstrip("/"), *names])
