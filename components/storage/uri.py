"""URIs of files: a path, `file://` or `gs://`."""

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, unquote

from emotion_ai.errors import InputError
from emotion_ai.terminal import CONTROLS

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_OURS = re.compile(r"(file|gs|sample)://")
# What stands before the host; names of files may hold an @.
_LOGIN = re.compile(r"(?<=://)[^/]*@")
# In other addresses a password may hold a slash, and a query may be a signature.
_SECRET = re.compile(r"(?<=://).*@|(?<=[?#]).+", re.DOTALL)


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
    if scheme is None:
        return False
    if _LOGIN.search(uri):
        raise InputError(
            f"{hide_password(uri)}: no user and no password may stand in an address; the "
            "environment gives access, such as GOOGLE_APPLICATION_CREDENTIALS"
        )
    if scheme[1] in ("file", "gs"):
        return scheme[1] == "gs"
    raise InputError(
        f"{hide_password(uri)}: scheme {scheme[1]}:// cannot be read or written here; expected a "
        "path or gs://"
    )


def check_folder_address(uri: str) -> None:
    """Check the address of a folder, without asking a storage whether it is there.

    Raises:
        InputError: It is empty, of an unsupported scheme, holds a password, names no bucket, is not
            in UTF-8 or holds control characters: what names it could not be written.
    """
    if not uri.strip():
        raise InputError("the address is empty; expected a folder or gs://bucket/name")
    if is_remote(uri) and not uri.removeprefix("gs://").partition("/")[0]:
        raise InputError(f"{uri}: names no bucket; expected gs://bucket/name")
    # As halves of a character, bytes that are not UTF-8 are among them.
    if CONTROLS.search(uri if is_remote(uri) else str(local_path(uri).absolute())):
        raise InputError(f"{uri}: expected a path in UTF-8, without control characters")


def hide_password(text: str) -> str:
    """Put "..." in the place of what may be secret in a URI: its user, password and query.

    Example:
        >>> hide_password("https://me:secret@example.com/faces.csv?token=secret")
        'https://...@example.com/faces.csv?...'
    """
    if "://" not in text:
        return text
    if _OURS.match(text):
        return _LOGIN.sub("...@", text)
    return _SECRET.sub(lambda found: "...@" if found[0].endswith("@") else "...", text)


def local_path(uri: str) -> Path:
    """Return the path of a local URI; raise `InputError` for a remote one."""
    if is_remote(uri):
        raise InputError(f"{uri}: a local folder is needed here")
    path = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    if "\0" in path:
        raise InputError(f"{uri!r}: a path holds no zero character")
    # As the shell does, which does not see a setting in a file.
    return Path(path).expanduser() if path.startswith("~/") else Path(path)


def check_inner_path(name: str) -> str:
    """Return a relative path that a file's content names, before it is joined to a folder.

    Raises:
        ValueError: It would lead out of the folder.

    Example:
        >>> check_inner_path("variables/variables.index")
        'variables/variables.index'
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError(f"{name!r} is no path within the folder")
    return name


def join(uri: str, *names: str) -> str:
    """Join names to a URI with slashes.

    Example:
        >>> join("gs://bucket/models", "7", "saved_model.pb")
        'gs://bucket/models/7/saved_model.pb'
    """
    if uri.startswith("file://"):
        names = tuple(quote(name) for name in names)
    return "/".join([uri.rstrip("/"), *names])
