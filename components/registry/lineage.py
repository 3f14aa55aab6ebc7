"""Which faces a release knows, also through the releases that its networks started or learnt from.

Retention removes releases, so each release carries what its ancestors had seen.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import (
    ReleaseInfo,
    SeenSource,
    is_version,
    list_versions,
    read_release,
)
from emotion_ai.registry.runs import RUNS, is_run_id, read_json, run_uri


class SourceName(NamedTuple):
    """What is looked for: a content, a name, or both.

    Attributes:
        fingerprint: The beginning of the source's fingerprint; "" for any.
        source: Its address as runs were given it; "" for any.
    """

    fingerprint: str
    source: str

    def match(self, source: str, fingerprint: str) -> str:
        """Say whether a source is the one: "content", "name" (of other content) or ""."""
        if self.fingerprint and fingerprint.startswith(self.fingerprint):
            return "content"
        return "name" if self.source and _same_place(source, self.source) else ""


def _same_place(one: str, other: str) -> bool:
    """Whether two addresses lead to the same place, however they are written."""
    return _plain_address(one) == _plain_address(other)


def _plain_address(uri: str) -> str:
    if "://" in uri and not uri.startswith("file://"):
        return uri.rstrip("/")
    return os.path.normpath(storage.local_path(uri))


def seen_sources(trainings: Iterable[Mapping[str, Any]]) -> tuple[SeenSource, ...]:
    """Return the sources that networks know from others.

    Args:
        trainings: How each network was trained, as in release.json: "start" and "teachers" are
            addresses of releases, or "pretrained". So is "taken_from" where weights were taken as
            they are, and the rest is the record of their own training.

    Raises:
        Unavailable: The storage failed.
    """
    found: dict[tuple[str, str], SeenSource] = {}
    waiting = list(_origins(trainings))
    visited = set()
    while waiting:
        origin = waiting.pop(0)
        if origin in visited:
            continue
        visited.add(origin)
        info = _read_origin(origin)
        if info is None:
            seen: tuple[SeenSource, ...] = (SeenSource(source=origin, through=origin),)
        else:
            seen = _own_sources(info) + info.seen
            waiting += () if info.seen else _origins(info.training.values())
        for each in seen:
            found.setdefault((each.source, each.fingerprint), each)
    return tuple(found.values())


def trace_source(registry: str, wanted: SourceName) -> dict[str, Any]:
    """Find the releases that know a source, and the runs that read it.

    Args:
        registry: A local folder or a gs:// URI.
        wanted: The source.

    Returns:
        Data for JSON. "releases" has an entry for each way in which a release knows the source:
        its "version", "is_champion", the "source", "fingerprint" and "rows", "same" ("content" or
        "name"), and "through" ("" where it was trained on the source itself). "unknown" has the
        releases of which something is not known, and why; "runs" the ids of the runs, and
        "unknown_runs" those whose record cannot be read, and why.

    Raises:
        Unavailable: The storage failed.
    """
    champion = read_champion(registry)
    releases: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for version in list_versions(registry):
        try:
            info = read_release(registry, version)
        except InputError as error:
            unknown.append({"version": version, "why": str(error)})
            continue
        inherited = info.seen or seen_sources(info.training.values())
        for through, each in _ways(info, inherited):
            if same := wanted.match(each.source, each.fingerprint):
                way = each.model_dump() | {"same": same, "through": through}
                releases.append({"version": version, "is_champion": version == champion, **way})
        unknown += [
            {"version": version, "why": _why_unknown(each.source)}
            for each in inherited
            if not each.fingerprint
        ]
    runs, unknown_runs = _runs(registry, wanted)
    return {"releases": releases, "unknown": unknown, "runs": runs, "unknown_runs": unknown_runs}


def _why_unknown(origin: str) -> str:
    if origin == "pretrained":
        return "its networks come from this package's pretrained ones; their model card says more"
    return f"its networks come from {origin}, of which no release is there"


def _origins(trainings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for training in trainings:
        taken_from = training.get("taken_from")
        others = (training.get("start"), *training.get("teachers", ()))
        yield from (uri for uri in ((taken_from,) if taken_from else others) if uri)


def _read_origin(origin: str) -> ReleaseInfo | None:
    registry, _, name = origin.rstrip("/").rpartition("/")
    if not registry or not is_version(name):
        return None
    try:
        return read_release(registry, int(name))
    except InputError:
        return None


def _own_sources(info: ReleaseInfo) -> tuple[SeenSource, ...]:
    through = f"release {info.version}"
    return tuple(
        SeenSource(
            source=data.source, fingerprint=data.fingerprint, rows=data.rows, through=through
        )
        for data in info.data.values()
    )


def _ways(info: ReleaseInfo, inherited: tuple[SeenSource, ...]) -> Iterator[tuple[str, SeenSource]]:
    yield from (("", each) for each in _own_sources(info))
    yield from ((each.through, each) for each in inherited)


def _runs(registry: str, wanted: SourceName) -> tuple[list[str], list[dict[str, str]]]:
    found: list[str] = []
    unknown: list[dict[str, str]] = []
    for run_id in storage.list_names(storage.join(registry, RUNS)):
        if not is_run_id(run_id):
            continue
        try:
            record = read_json(storage.join(run_uri(registry, run_id), "resolve.json"))
        except storage.NotFound:
            # A run that ended before it had read anything.
            continue
        except InputError as error:
            unknown.append({"run_id": run_id, "why": str(error)})
            continue
        for kind in ("keypoints", "expression"):
            source, fingerprint = record.get(kind), record.get(f"{kind}_fingerprint")
            if wanted.match(str(source or ""), str(fingerprint or "")):
                found.append(run_id)
                break
    return found, unknown
