"""Releases: immutable SavedModel directories `<registry>/<version>/`."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError

from emotion_ai import storage
from emotion_ai.errors import InputError, VerificationError
from emotion_ai.faces.kinds import KindName, with_current_names
from emotion_ai.registry.digest import FileDigest
from emotion_ai.settings import StrictModel

INFO_PATH = "assets.extra/release.json"
WARMUP_PATH = "assets.extra/tf_serving_warmup_requests"
CARD_PATH = "assets.extra/model_card.md"
# The same networks for LiteRT, at the path TensorFlow Serving reads; older releases have none.
LITE_PATH = "model.tflite"
# Written last in Cloud Storage, where a folder cannot be renamed: it completes the release.
GRAPH_PATH = "saved_model.pb"
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_MAX_INFO_BYTES = 8 << 20


class DataInfo(StrictModel):
    """The faces that a network was trained on."""

    source: str
    fingerprint: str
    rows: int
    # Rows by split and by reason for being dropped, as the prepared faces count them.
    counts: dict[str, int] = {}


class SeenSource(StrictModel):
    """Faces that a network knows from the weights it started from, or from its teachers.

    Attributes:
        source: Their source, "pretrained", or the address of a release that is gone.
        fingerprint: Of the source; "" where it is not known.
        rows: How many faces; 0 where that is not known.
        through: The release that was trained on them, or "pretrained".
    """

    source: str
    fingerprint: str = ""
    rows: int = 0
    through: str


class GateDecision(StrictModel):
    """Why the gate accepted the release; `forced` is the reason given for forcing it, if it was."""

    outcome: Literal["accepted"]
    forced: str = ""
    reasons: tuple[str, ...] = ()


class ReleaseInfo(StrictModel):
    """The content of release.json; `files` lists every other file of the release."""

    schema_version: Literal[1] = 1
    version: int = 0
    content_digest: str
    files: dict[Annotated[str, AfterValidator(storage.check_inner_path)], FileDigest]
    # The champion when this release was published; None before the first rollout.
    parent: int | None
    data: dict[KindName, DataInfo]
    metrics: dict[str, Any]
    gate: GateDecision
    revision: str
    run_id: str
    # UTC, ISO 8601.
    created: str
    label_set: str
    labels: tuple[str, ...]
    signatures: dict[str, Any]
    packages: dict[str, str]
    training: dict[KindName, dict[str, Any]] = {}
    # What its networks know besides `data`; older releases do not say.
    seen: tuple[SeenSource, ...] = ()
    # What model.tflite is, and what its weights cost in accuracy; {} where there is none.
    lite: Annotated[dict[str, Any], BeforeValidator(with_current_names)] = {}
    # When its answer is none, and what was measured of it; older releases do not say.
    refusal: dict[str, Any] = {}

    def to_json(self, version: int) -> bytes:
        """Return the bytes of release.json for this version."""
        info = self.model_copy(update={"version": version})
        # Servers of earlier versions, which do not know the keys, read releases without them.
        empty = {name for name in ("seen", "refusal") if not getattr(info, name)}
        return info.model_dump_json(indent=1, exclude=empty).encode() + b"\n"


def check_exists(registry: str) -> None:
    """Raise `InputError` if there is nothing at a registry's address, which may be mistyped.

    For those who read a registry: an empty one has no release yet.
    """
    # An empty bucket exists; one that is missing cannot be listed either.
    is_bucket = storage.is_remote(registry) and registry.rstrip("/").count("/") == 2
    if not is_bucket and not storage.exists(registry):
        place = (
            "nothing in the bucket under this name"
            if storage.is_remote(registry)
            else "no such folder"
        )
        raise InputError(
            f"{registry}: {place}; expected a registry, which a run makes when it publishes its "
            "first release"
        )


def list_versions(registry: str) -> list[int]:
    """List the versions of the complete releases, ascending."""
    return [version for version in used_versions(registry) if is_complete(registry, version)]


def is_complete(registry: str, version: int) -> bool:
    """Return whether every file of a release has been written.

    A local folder appears complete. In Cloud Storage the first and the last object must exist: a
    writer presumed dead may still write the last, after the others were removed.
    """
    names = (GRAPH_PATH, INFO_PATH) if storage.is_remote(registry) else (GRAPH_PATH,)
    folder = release_uri(registry, version)
    return all(storage.exists(storage.join(folder, name)) for name in names)


def used_versions(registry: str) -> list[int]:
    """List the versions in use, also by incomplete releases, ascending."""
    return sorted(int(name) for name in storage.list_names(registry) if is_version(name))


def is_version(name: str) -> bool:
    """Return whether a text is the number of a release: 1 or more, without a leading zero."""
    return _VERSION.fullmatch(name) is not None


def release_uri(registry: str, version: int) -> str:
    """Return the URI of a release, which need not exist."""
    return storage.join(registry, str(version))


def read_release(registry: str, version: int) -> ReleaseInfo:
    """Read a release's release.json.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.

    Returns:
        The content of release.json.

    Raises:
        InputError: There is no such release, or its release.json is invalid.
        Unavailable: The storage failed.
    """
    return read_release_file(registry, version)[0]


def read_release_file(registry: str, version: int) -> tuple[ReleaseInfo, bytes]:
    """Read a release's release.json as `read_release` does, and its bytes."""
    try:
        return _read_info(release_uri(registry, version), version)
    except storage.NotFound:
        check_exists(registry)
        complete = list_versions(registry)
        if version in complete:
            raise InputError(
                f"{release_uri(registry, version)}: has no {INFO_PATH}, so nothing says what it "
                "is; publish it by a run"
            ) from None
        versions = ", ".join(map(str, complete)) or "none"
        raise InputError(f"{registry}: no release {version}; there are: {versions}") from None


def _read_info(folder: str, version: int) -> tuple[ReleaseInfo, bytes]:
    uri = storage.join(folder, INFO_PATH)
    data = storage.read_bytes(uri, _MAX_INFO_BYTES)
    try:
        info = ReleaseInfo.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the whole file"
        raise InputError(f"{uri}: {field}: {first['msg']}") from None
    if info.version != version:
        raise InputError(f"{uri}: says version {info.version}; expected {version}")
    return info, data


def verify_release(registry: str, version: int) -> None:
    """Compare the SHA-256 of every file with release.json, which has to name all of them.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.

    Raises:
        VerificationError: A file differs, or is not named; names the first one.
        InputError: There is no such release, or a file is missing or leads out of its folder.
        Unavailable: The storage failed.
    """
    read_release(registry, version)
    verify_release_folder(release_uri(registry, version), version)


def verify_release_folder(folder: str, version: int) -> None:
    """Verify a release as `verify_release` does, by the URI of its folder."""
    files = _read_info(folder, version)[0].files
    advice = "publish a new release or roll out another one"
    found = {entry.name for entry in storage.walk(folder)}
    for name in sorted(found - set(files) - {INFO_PATH}):
        raise VerificationError(
            f"{storage.join(folder, name)}: is no file that release {version} was published with; "
            f"{advice}"
        )
    for name, expected in files.items():
        uri = storage.join(folder, name)
        if storage.sha256(uri) != expected.sha256:
            raise VerificationError(
                f"{uri}: was altered after release {version} was published; {advice}"
            )
