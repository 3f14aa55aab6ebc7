"""Tests of `registry.lineage`: which releases know a source, also when an ancestor is gone."""

from pathlib import Path
from typing import Any

import pytest

from emotion_ai import storage
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.lineage import SourceName, seen_sources, trace_source
from emotion_ai.registry.publishing import publish, retain
from emotion_ai.registry.releases import (
    INFO_PATH,
    DataInfo,
    SeenSource,
    read_release,
    release_uri,
)
from emotion_ai.registry.runs import write_record

from support.minimal_release import write_minimal_release

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64


class Releases:
    """Publishes releases to a registry, each trained on one source of emotions."""

    def __init__(self, registry: str, folder: Path) -> None:
        self.registry = registry
        self._folder = folder
        self._count = 0

    def add(self, source: str, fingerprint: str, start: str = "", **training: Any) -> int:
        """Publish as the step push does."""
        return self._publish(source, fingerprint, {"start": start, **training}, says=True)

    def add_older(self, source: str, fingerprint: str, start: str = "") -> int:
        """Publish as earlier versions did: release.json does not say what was seen."""
        return self._publish(source, fingerprint, {"start": start}, says=False)

    def uri(self, version: int) -> str:
        return release_uri(self.registry, version)

    def find(self, fingerprint: str = "", source: str = "") -> list[tuple[int, str, str, int]]:
        found = trace_source(self.registry, SourceName(fingerprint, source))["releases"]
        return [(way["version"], way["same"], way["through"], way["rows"]) for way in found]

    def _publish(self, source: str, fingerprint: str, training: dict[str, Any], says: bool) -> int:
        self._count += 1
        number = self._count
        files, draft = write_minimal_release(self._folder / str(number), f"content {number}")
        keypoints = DataInfo(source="sample://9", fingerprint=OTHER, rows=9)
        expression = DataInfo(source=source, fingerprint=fingerprint, rows=number * 100)
        by_kind = {"expression": training}
        changes = {
            "data": {"keypoints": keypoints, "expression": expression},
            "training": by_kind,
            "seen": seen_sources(by_kind.values()) if says else (),
        }
        return publish(self.registry, files, draft.model_copy(update=changes))[0]


@pytest.fixture
def releases(registry: str, tmp_path: Path) -> Releases:
    return Releases(registry, tmp_path / "exports")


def test_a_release_knows_its_own_sources(releases: Releases) -> None:
    releases.add("faces.csv", OLD)
    releases.add("faces.csv", NEW)
    assert releases.find(OLD) == [(1, "content", "", 100)]
    assert releases.find(OLD[:12]) == [(1, "content", "", 100)]
    assert releases.find("d" * 64) == []
    assert releases.find(OTHER) == [(1, "content", "", 9), (2, "content", "", 9)]


def test_a_name_finds_other_contents_too_and_says_so(releases: Releases) -> None:
    releases.add("faces.csv", OLD)
    releases.add("faces.csv", NEW)
    releases.add("others.csv", OTHER)
    assert releases.find(NEW, "faces.csv") == [(1, "name", "", 100), (2, "content", "", 200)]
    assert releases.find("", "faces.csv") == [(1, "name", "", 100), (2, "name", "", 200)]


def test_a_release_knows_what_its_start_and_its_teachers_knew(releases: Releases) -> None:
    releases.add("old.csv", OLD)
    releases.add("new.csv", NEW, start=releases.uri(1))
    releases.add("third.csv", OTHER, teachers=[releases.uri(2)])
    assert releases.find(OLD) == [
        (1, "content", "", 100),
        (2, "content", "release 1", 100),
        (3, "content", "release 1", 100),
    ]
    assert releases.find(NEW) == [(2, "content", "", 200), (3, "content", "release 2", 200)]


def test_a_release_of_weights_taken_as_they_are_knows_what_their_release_knew(
    releases: Releases,
) -> None:
    releases.add("old.csv", OLD, start="release 9")
    # The rest is the record of the training in release 1.
    releases.add("new.csv", NEW, start="release 9", taken_from=releases.uri(1))
    assert releases.find(OLD) == [(1, "content", "", 100), (2, "content", "release 1", 100)]
    releases.add("new.csv", NEW, start="release 9", taken_from="pretrained")
    assert [each.source for each in read_release(releases.registry, 3).seen] == ["pretrained"]


def test_a_release_knows_what_an_ancestor_knew_that_is_gone(releases: Releases) -> None:
    releases.add("old.csv", OLD)
    releases.add("new.csv", NEW, start=releases.uri(1))
    releases.add("new.csv", NEW, start=releases.uri(2))
    write_champion(releases.registry, 3)
    assert retain(releases.registry, 1) == [1, 2]
    assert releases.find(OLD) == [(3, "content", "release 1", 100)]
    found = trace_source(releases.registry, SourceName(OLD, ""))
    assert found["unknown"] == []
    assert [way["is_champion"] for way in found["releases"]] == [True]


def test_nightly_runs_from_the_champion_do_not_make_the_list_longer(releases: Releases) -> None:
    for version in range(1, 5):
        releases.add("faces.csv", OLD, start=releases.uri(version - 1) if version > 1 else "")
    seen = read_release(releases.registry, 4).seen
    assert [(each.source, each.through) for each in seen] == [
        ("sample://9", "release 3"),
        ("faces.csv", "release 3"),
    ]


def test_an_older_release_is_followed_where_its_ancestors_are_there(releases: Releases) -> None:
    releases.add_older("old.csv", OLD)
    releases.add_older("new.csv", NEW, start=releases.uri(1))
    releases.add("third.csv", OTHER, start=releases.uri(2))
    assert releases.find(OLD)[1:] == [
        (2, "content", "release 1", 100),
        (3, "content", "release 1", 100),
    ]


@pytest.mark.parametrize("origin", ["pretrained", "{registry}/7", "{registry}/x", "1"])
def test_what_is_not_known_is_told(releases: Releases, origin: str) -> None:
    origin = origin.format(registry=releases.registry)
    releases.add("faces.csv", NEW, start=origin)
    (unknown,) = trace_source(releases.registry, SourceName(OLD, ""))["unknown"]
    assert unknown["version"] == 1
    name = "this package's pretrained ones" if origin == "pretrained" else origin
    assert f"its networks come from {name}" in unknown["why"]
    assert read_release(releases.registry, 1).seen == (SeenSource(source=origin, through=origin),)


def test_a_damaged_release_is_told(releases: Releases) -> None:
    releases.add("faces.csv", OLD)
    releases.add("faces.csv", OLD)
    storage.write_bytes(storage.join(releases.uri(1), INFO_PATH), b"{}")
    found = trace_source(releases.registry, SourceName(OLD, ""))
    assert [way["version"] for way in found["releases"]] == [2]
    assert [each["version"] for each in found["unknown"]] == [1]
    assert "release.json" in found["unknown"][0]["why"]


def test_releases_that_start_from_each_other_end(releases: Releases) -> None:
    releases.add_older("old.csv", OLD, start=releases.uri(2))
    releases.add_older("new.csv", NEW, start=releases.uri(1))
    assert [way[0] for way in releases.find(OLD)] == [1, 1, 2]


def test_runs_that_read_a_source_are_found(registry: str) -> None:
    storage.write_bytes(storage.join(registry, "runs", "damaged", "resolve.json"), b"{")
    write_record(registry, "without", "run", {})
    for run_id, fingerprint in (("run-1", OLD), ("run-2", NEW)):
        record = {
            "keypoints": "sample://9",
            "keypoints_fingerprint": OTHER,
            "expression": "faces.csv",
            "expression_fingerprint": fingerprint,
        }
        write_record(registry, run_id, "resolve", record)
    assert trace_source(registry, SourceName(OLD, ""))["runs"] == ["run-1"]
    assert trace_source(registry, SourceName("", "faces.csv"))["runs"] == ["run-1", "run-2"]
    assert trace_source(registry, SourceName(OTHER, ""))["runs"] == ["run-1", "run-2"]


def test_an_empty_registry_knows_nothing(registry: str) -> None:
    assert trace_source(registry, SourceName(OLD, "x")) == {
        "releases": [],
        "unknown": [],
        "runs": [],
        "unknown_runs": [],
    }
