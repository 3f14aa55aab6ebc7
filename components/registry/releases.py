"""Releases: immutable, numbered SavedModel directories `<registry>/<version>/`."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationError

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.kinds import KindName, with_current_names
from emotion_ai.registry.digest import FileDigest
from emotion_ai.settings import StrictModel

INFO_PATH = "assets.extra/release.json"
WARMUP_PATH = "assets.extra/tf_serving_warmup_requests"
CARD_PATH = "assets.extra/model_card.md"
# The same networks for LiteRT, where TensorFlow Serving reads them; older releases have none.
LITE_PATH = "model.tflite"
# Written last in Cloud Storage, where a folder cannot be renamed: without it there is no release.
GRAPH_PATH = "saved_model.pb"
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_MAX_INFO_BYTES = 8 << 20


def _inside(name: str) -> str:
    # Whoever reads the release joins these names to its address.
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"{name!r} is not a file of the release")
    return name


class DataInfo(StrictModel):
    """The faces that a network was trained on."""

    source: str
    fingerprint: str
    rows: int
    # Rows by split and by reason of being left out, as the prepared faces count them.
    counts: dict[str, int] = {}


class GateDecision(StrictModel):
    """Why the release was accepted; `forced` holds the reason given by whoever forced it."""

    outcome: Literal["accepted"]
    forced: str = ""
    reasons: tuple[str, ...] = ()


class ReleaseInfo(StrictModel):
    """What stands in release.json; `files` names every file of the release but itself."""

    schema_version: Literal[1] = 1
    version: int = 0
    content_digest: str
    files: dict[Annotated[str, AfterValidator(_inside)], FileDigest]
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
    # What model.tflite is, and what its weights cost in accuracy; {} where there is none.
    lite: Annotated[dict[str, Any], BeforeValidator(with_current_names)] = {}

    def text(self, version: int) -> bytes:
        """What to write as release.json of this version."""
        info = self.model_copy(update={"version": version})
        return info.model_dump_json(indent=1).encode() + b"\n"


def list_versions(registry: str) -> list[int]:
    """Versions of the complete releases, ascending."""
    return [version for version in taken_versions(registry) if is_complete(registry, version)]


def is_complete(registry: str, version: int) -> bool:
    """Whether all of a release was written.

    A folder appears as a whole. In Cloud Storage the first object and the last one have to be
    there: a writer taken for dead may still write the last, after the others were cleared away.
    """
    names = (GRAPH_PATH, INFO_PATH) if storage.is_remote(registry) else (GRAPH_PATH,)
    folder = release_uri(registry, version)
    return all(storage.exists(storage.join(folder, name)) for name in names)


def taken_versions(registry: str) -> list[int]:
    """Version numbers in use, those of half-written releases too, ascending."""
    return sorted(int(name) for name in storage.list_names(registry) if _VERSION.fullmatch(name))


def release_uri(registry: str, version: int) -> str:
    """Where a release lies, whether or not it is there."""
    return storage.join(registry, str(version))


def read_release(registry: str, version: int) -> ReleaseInfo:
    """What release.json says. Raises `InputError` where it is absent or not in order."""
    uri = storage.join(release_uri(registry, version), INFO_PATH)
    try:
        info = ReleaseInfo.model_validate_json(storage.read_bytes(uri, _MAX_INFO_BYTES))
    except storage.NotFound:
        versions = ", ".join(map(str, list_versions(registry))) or "none"
        raise InputError(f"{registry}: no release {version}; there are: {versions}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise InputError(f"{uri}: {place}: {first['msg']}") from None
    if info.version != version:
        raise InputError(f"{uri}: says version {info.version}; expected {version}")
    return info


def verify_release(registry: str, version: int) -> None:
    """Compare every file with release.json. Raises `InputError` naming the first that differs."""
    for name, expected in read_release(registry, version).files.items():
        uri = storage.join(release_uri(registry, version), name)
        if storage.sha256(uri) != expected.sha256:
            raise InputError(
                f"{uri}: was altered after release {version} was published; publish a new release "
                "or roll out another one"
            )
