"""Where faces come from: a source's address, the file of its people, its content fingerprint.

A source is a local path, `file://` or `gs://` of a CSV (plain, .gz or .zip) or of a folder of
pictures (or a .zip of one), or `sample://N?seed=S`.
"""

import hashlib
from pathlib import Path

from emotion_ai import sample, storage
from emotion_ai.errors import InputError
from emotion_ai.sources.folders import ALL_EMOTIONS, order_pictures

SAMPLE_SCHEME = "sample://"


def is_sample(source: str) -> bool:
    """Whether the faces are to be drawn rather than read."""
    return source.startswith(SAMPLE_SCHEME)


def check_there(source: str) -> None:
    """Raise as `fingerprint` does where the source cannot even be opened, without reading it."""
    _check_named(source)
    if is_sample(source):
        from emotion_ai.sample.uri import parse_sample_uri

        parse_sample_uri(source)
    elif not storage.is_folder(source):
        storage.open_binary(source).close()


def _check_named(source: str) -> None:
    if not source.strip():
        raise InputError("a source is empty; expected a path, gs://... or sample://N?seed=S")


def subjects_uri(source: str) -> str:
    """The address of NAME.subjects.csv beside NAME (a folder), NAME.csv, .csv.gz or .csv.zip."""
    stem = source.rstrip("/").removesuffix(".gz").removesuffix(".zip").removesuffix(".csv")
    return f"{stem}.subjects.csv"


def fingerprint(source: str) -> str:
    """SHA-256 (hexadecimal) of what the source holds, its subjects file included.

    The same content under another name has the same fingerprint. A sample's covers its parameters
    and the code that draws it, a folder's the names and contents of its visible files. Raises
    `InputError` for a source that is not there, or is a folder but not of pictures by emotion;
    `Unavailable` where the storage fails.
    """
    _check_named(source)
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
    return digest.hexdigest()


def _folder_sha256(source: str) -> str:
    md5 = dict(storage.walk(source))
    digest = hashlib.sha256()
    for name in order_pictures(source, md5, ALL_EMOTIONS):
        # Cloud Storage keeps the MD5 of nearly every object, so that nothing is read there.
        content = md5[name] or storage.md5(storage.join(source, name))
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()
