"""Where faces come from: a source's address, the file of its people, its content fingerprint.

A source is a local path, `file://` or `gs://` of a CSV (plain, .gz or .zip), or `sample://N?seed=S`.
"""

import hashlib
from pathlib import Path

from components import sample, storage
from components.errors import BadInput

SAMPLE_SCHEME = "sample://"


def is_sample(source: str) -> bool:
    """Whether the faces are to be drawn rather than read."""
    return source.startswith(SAMPLE_SCHEME)


def subjects_uri(source: str) -> str:
    """The address of NAME.subjects.csv beside NAME.csv, NAME.csv.gz or NAME.csv.zip."""
    stem = source.removesuffix(".gz").removesuffix(".zip").removesuffix(".csv")
    return f"{stem}.subjects.csv"


def fingerprint(source: str) -> str:
    """SHA-256 (hexadecimal) of what the source holds, its subjects file included.

    The same content under another name has the same fingerprint. A sample's covers its parameters
    and the code that draws it. Raises `BadInput` for a source that is not there or not readable as
    a file, `Unavailable` where the storage fails.
    """
    if not source.strip():
        raise BadInput("a source is empty; expected a path, gs://... or sample://N?seed=S")
    digest = hashlib.sha256()
    if is_sample(source):
        from components.sample.uri import parse_sample_uri

        digest.update(repr(parse_sample_uri(source)).encode())
        for module in sorted(Path(sample.__path__[0]).glob("*.py")):
            digest.update(module.read_bytes())
        return digest.hexdigest()
    digest.update(storage.sha256(source).encode())
    subjects = subjects_uri(source)
    if storage.exists(subjects):
        digest.update(storage.sha256(subjects).encode())
    return digest.hexdigest()
