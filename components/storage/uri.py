"""Addresses of files: a path, `file://` or `gs://`."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from emotion_ai.errors import InputError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")


class NotFound(InputError):
    """There is nothing at this address."""


class Entry(NamedTuple):
    """A file below a folder: its name from there, and its MD5 (hexadecimal), "" if not known."""

    name: str
    md5: str


def is_remote(uri: str) -> bool:
    """Whether the URI is in Cloud Storage. Raises `InputError` for a scheme nobody here reads."""
    scheme = _SCHEME.match(uri)
    if scheme is None or scheme[1] == "file":
        return False
    if scheme[1] == "gs":
        return True
    raise InputError(
        f"{uri}: scheme {scheme[1]}:// cannot be read or written here; expected a path or gs://"
    )


def local_path(uri: str) -> Path:
    """The path of a local URI. Raises `InputError` for any other."""
    if is_remote(uri):
        raise InputError(f"{uri}: a local folder is needed here")
    if "\0" in uri:
        raise InputError(f"{uri!r}: a path holds no zero character")
    return Path(unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri)


def join(uri: str, *names: str) -> str:
    """The URI of a name below another one."""
    if uri.startswith("file://"):
        names = tuple(quote(name) for name in names)
    return "/".join([uri.rstrip("/"), *names])
