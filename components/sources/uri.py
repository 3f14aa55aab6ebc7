"""URIs of sources: the files that may lie beside them, and content fingerprints.

A source is a local path, `file://` or `gs://` URI of a CSV (plain, packed, or in a .zip or .tar.gz)
or of a folder of pictures (or a .zip of one), or `sample://N?seed=S`.
"""

import hashlib
import re
from pathlib import Path

from emotion_ai import sample, storage
from emotion_ai.errors import InputError
from emotion_ai.sources.folders import sort_pictures

SAMPLE_SCHEME = "sample://"
_PACKED = re.compile(r"\.(gz|bz2|xz)$")
_FORMAT_SUFFIX = re.compile(r"\.[a-z]{1,5}")


def is_sample(source: str) -> bool:
    """Return whether the faces are drawn (`sample://`) rather than read."""
    return source.startswith(SAMPLE_SCHEME)


def check_address(source: str) -> None:
    """Check the address of a source, without asking a storage whether it is there.

    Raises:
        InputError: It is empty, of an unsupported scheme, holds a password, or names no bucket.
    """
    if not source.strip():
        raise InputError("a source is empty; expected a path, gs://... or sample://N?seed=S")
    if is_sample(source):
        from emotion_ai.sample.uri import parse_sample_uri

        parse_sample_uri(source)
    else:
        storage.check_folder_address(source)


def check_exists(source: str) -> None:
    """Check that a source can be opened, without reading it.

    Args:
        source: The source's URI.

    Raises:
        InputError: The source does not exist, or its URI is invalid.
        Unavailable: The storage failed.
    """
    check_address(source)
    if not is_sample(source) and not storage.is_folder(source):
        storage.open_binary(source).close()


def subjects_uri(source: str) -> str:
    """Return the URI of a source's subjects file, which need not exist.

    A file's compression and format suffixes are replaced. A folder keeps the dots in its name, and
    so does a zip of a folder.

    Args:
        source: The source's URI.

    Raises:
        InputError: The URI is invalid.
        Unavailable: The storage failed to tell a file from a folder.

    Example:
        >>> subjects_uri("gs://faces/fer2013.csv.gz")
        'gs://faces/fer2013.subjects.csv'
    """
    return f"{_stem(source)}.subjects.csv"


def corrections_uri(source: str) -> str:
    """Return the URI of a source's corrected labels, which need not exist; see `subjects_uri`."""
    return f"{_stem(source)}.corrections.csv"


def groups_uri(source: str) -> str:
    """Return the URI of a source's groups of faces, which need not exist; see `subjects_uri`."""
    return f"{_stem(source)}.groups.csv"


def _stem(source: str) -> str:
    name = _PACKED.sub("", source.rstrip("/"))
    stem = name.removesuffix(".zip").removesuffix(".csv")
    suffix = Path(name).suffix
    if stem == name and _FORMAT_SUFFIX.fullmatch(suffix) and not storage.is_folder(source):
        return name.removesuffix(suffix)
    return stem


def fingerprint(source: str) -> str:
    """Compute the SHA-256 of a source's content and of the files beside it.

    The same content under another name has the same fingerprint. A folder's fingerprint covers
    the names and contents of its visible files; a sample's, its parameters and the code that draws
    it.

    Args:
        source: The source's URI.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: The source does not exist, or is a folder without pictures by emotion.
        Unavailable: The storage failed.
    """
    check_address(source)
    digest = hashlib.sha256()
    if is_sample(source):
        from emotion_ai.sample.uri import parse_sample_uri

        digest.update(repr(parse_sample_uri(source)).encode())
        for module in sorted(Path(sample.__path__[0]).glob("*.py")):
            digest.update(module.read_bytes())
        return digest.hexdigest()
    content = _folder_sha256(source) if storage.is_folder(source) else storage.sha256(source)
    digest.update(content.encode())
    subjects = subjects_uri(source)
    if storage.exists(subjects):
        digest.update(storage.sha256(subjects).encode())
    for name, uri in (("corrections", corrections_uri(source)), ("groups", groups_uri(source))):
        if storage.exists(uri):
            digest.update(f"{name} {storage.sha256(uri)}".encode())
    return digest.hexdigest()


def _folder_sha256(source: str) -> str:
    md5 = dict(storage.walk(source))
    digest = hashlib.sha256()
    for name in sort_pictures(source, md5):
        # Cloud Storage keeps the MD5 of nearly every object, so nothing is read there.
        content = md5[name] or storage.md5(storage.join(source, name))
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()
