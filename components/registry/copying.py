"""Copies of releases in a local folder: each complete and verified under its number, or absent."""

import hashlib
import re
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import EmotionAIError, InputError, VerificationError
from emotion_ai.registry.digest import FileDigest
from emotion_ai.registry.releases import (
    INFO_PATH,
    ReleaseInfo,
    is_version,
    read_release,
    read_release_file,
    release_uri,
    verify_release,
)
from emotion_ai.storage.atomic_files import flush, flush_folder

# What is being copied or removed. TensorFlow Serving ignores names that are no numbers.
_MAX_FILE_BYTES = 256 << 20
_STAGING = re.compile(r"\.[0-9]+-[0-9a-f]{32}")


def place_copy(registry: str, version: int, folder: Path, max_bytes: int) -> ReleaseInfo:
    """Copy a release to `<folder>/<version>`, or verify the copy that is there.

    A copy that is there needs no registry; a damaged one is replaced.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.
        folder: The folder of the copies, which exists; one process at a time writes to it.
        max_bytes: The largest size of all files together.

    Returns:
        The content of release.json.

    Raises:
        InputError: There is no such release, a file is missing, or the files are too large.
        VerificationError: A file is not the one that release.json lists.
        Unavailable: The registry cannot be read.
        OSError: The folder cannot be written.
    """
    if info := _verified_copy(folder, version):
        return info
    staging = _staging(folder, version)
    try:
        info = _copy(registry, version, staging, max_bytes)
        staging.rename(folder / str(version))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    flush_folder(folder)
    return info


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed had not copied, or removed, to the end."""
    for path in [*folder.iterdir()]:
        if _STAGING.fullmatch(path.name):
            shutil.rmtree(path)


def remove_others(folder: Path, version: int) -> None:
    """Remove the copies of all releases but one."""
    for path in [*folder.iterdir()]:
        if is_version(path.name) and path.name != str(version):
            _remove(folder, int(path.name))


def _verified_copy(folder: Path, version: int) -> ReleaseInfo | None:
    """Return the release.json of the copy that is there, or None; remove a damaged one."""
    path = folder / str(version)
    if not path.exists():
        return None
    try:
        verify_release(str(folder), version)
        return read_release(str(folder), version)
    except EmotionAIError:
        sys.stderr.write(f"{path}: was altered after it was copied; copying it again\n")
        _remove(folder, version)
        return None


def _copy(registry: str, version: int, target: Path, max_bytes: int) -> ReleaseInfo:
    """Copy a release to a new folder, and flush it to the disk; each file is read once."""
    info, text = read_release_file(registry, version)
    source = release_uri(registry, version)
    size = sum(file.size for file in info.files.values())
    if size > max_bytes:
        raise InputError(
            f"{source}: {size:,} bytes, more than the {max_bytes:,} that there is room for; roll "
            "out another release"
        )
    for name, expected in info.files.items():
        _write(target / name, _verified_chunks(storage.join(source, name), expected))
    _write(target / INFO_PATH, [text])
    for folder in [*target.rglob("*/"), target]:
        flush_folder(folder)
    return info


def read_verified(registry: str, version: int, name: str) -> bytes:
    """Read a file of a release, and compare it with release.json.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.
        name: The file's path in the release.

    Raises:
        InputError: There is no such release, or no such file in it.
        VerificationError: The file was altered.
        Unavailable: The storage failed.
    """
    info, uri = read_release(registry, version), release_uri(registry, version)
    expected = info.files.get(name)
    if expected is None:
        raise InputError(f"{uri}: has no {name}; publish a new release, or choose another one")
    if expected.size > _MAX_FILE_BYTES:
        raise InputError(f"{uri}/{name}: {expected.size:,} bytes; at most {_MAX_FILE_BYTES:,}")
    return b"".join(_verified_chunks(storage.join(uri, name), expected))


def _verified_chunks(uri: str, expected: FileDigest) -> Iterator[bytes]:
    """Yield a file's content, at most the expected size, and fail if it is not as expected."""
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in storage.read_chunks(uri):
            size += len(chunk)
            if size > expected.size:
                break
            digest.update(chunk)
            yield chunk
    except storage.NotFound as missing:
        raise InputError(
            f"{missing}, but release.json lists it; publish a new release or roll out another one"
        ) from None
    if (size, digest.hexdigest()) != (expected.size, expected.sha256):
        raise VerificationError(
            f"{uri}: is not the file that release.json lists; publish a new release or roll out "
            "another one"
        )


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.writelines(chunks)
        flush(file)


def _remove(folder: Path, version: int) -> None:
    """Remove a copy by a rename first: what bears a number is complete."""
    staging = _staging(folder, version)
    (folder / str(version)).rename(staging)
    shutil.rmtree(staging)


def _staging(folder: Path, version: int) -> Path:
    return folder / f".{version}-{uuid.uuid4().hex}"
