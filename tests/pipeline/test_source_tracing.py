"""`emotion-ai describe --source`: who has seen a source, by path, URI or fingerprint."""

import json
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.source_tracing import describe_source
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import DataInfo, SeenSource
from emotion_ai.registry.runs import write_record
from emotion_ai.sources.uri import fingerprint

from support.command_line import assert_refused, emotion_ai
from support.minimal_release import write_minimal_release


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels,Usage\n")
    return path


@pytest.fixture
def traced(registry: str, tmp_path: Path, source: Path) -> str:
    """A registry: release 1 was trained on the source, 2 learnt from 1 and is the champion."""
    files, draft = write_minimal_release(tmp_path / "export", "a")
    content = fingerprint(str(source))
    own = DataInfo(source=str(source), fingerprint=content, rows=35_887)
    publish(registry, files, draft.model_copy(update={"data": {"expression": own}, "seen": ()}))
    seen = SeenSource(source=str(source), fingerprint=content, rows=35_887, through="release 1")
    files, draft = write_minimal_release(tmp_path / "export", "b")
    publish(registry, files, draft.model_copy(update={"seen": (seen,)}))
    write_champion(registry, 2)
    record = {"expression": str(source), "expression_fingerprint": content}
    write_record(registry, "run-7", "resolve", record)
    return registry


def describe(registry: str, text: str) -> list[str]:
    result = emotion_ai("describe", "--registry", registry, "--source", text)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_path_is_found_by_its_content(traced: str, source: Path) -> None:
    assert describe(traced, str(source)) == [
        f"Registry     {traced}",
        f"Source       {source}",
        f"Fingerprint  {fingerprint(str(source))}",
        f"Release 1  was trained on it: 35,887 faces of {source}",
        f"Release 2 *  knows it through release 1: 35,887 faces of {source}",
        "Run run-7  read it; its pages may show faces of it",
        "* the champion: what servers answer with",
    ]


def test_a_copy_and_a_fingerprint_are_found(traced: str, source: Path, tmp_path: Path) -> None:
    content = fingerprint(str(source))
    copy = source.rename(tmp_path / "moved.csv")
    for text in (str(copy), content, content[:12]):
        found = describe_source(traced, text)
        assert [way["version"] for way in found["releases"]] == [1, 2]
        assert found["runs"] == ["run-7"]


def test_a_source_that_changed_or_is_gone_is_found_by_its_name(traced: str, source: Path) -> None:
    source.write_text("another\n")
    found = describe_source(traced, str(source))
    assert {(way["version"], way["same"]) for way in found["releases"]} == {
        (1, "name"),
        (2, "name"),
    }
    source.unlink()
    found = describe_source(traced, str(source))
    assert found["fingerprint"] == ""
    assert {way["version"] for way in found["releases"]} == {1, 2}


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_source_that_nobody_saw_is_told(traced: str, tmp_path: Path) -> None:
    lines = describe(traced, str(tmp_path / "unknown.csv"))
    assert lines[2].startswith("Fingerprint  not known: there is no such source now")
    assert lines[-1] == "no release and no run of this registry is known to have seen it"


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_the_description_is_json_for_programs(traced: str, source: Path) -> None:
    result = emotion_ai("describe", "--registry", traced, "--source", str(source), "--json")
    found = json.loads(result.stdout)
    assert found["fingerprint"] == fingerprint(str(source))
    assert [way["through"] for way in found["releases"]] == ["", "release 1"]


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_folder_that_is_no_source_is_a_mistake(traced: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = emotion_ai("describe", "--registry", traced, "--source", str(tmp_path / "empty"))
    assert_refused(result, 2, "empty")


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_describe_of_a_release_names_what_was_seen_before(traced: str) -> None:
    result = emotion_ai("describe", "1", "--registry", traced)
    assert "seen before" not in result.stdout
    result = emotion_ai("describe", "2", "--registry", traced)
    assert "seen before" in result.stdout
    assert "by release 1" in result.stdout


def test_a_fingerprint_may_be_in_capitals(traced: str, source: Path) -> None:
    found = describe_source(traced, fingerprint(str(source)).upper())
    assert [way["version"] for way in found["releases"]] == [1, 2]


@pytest.mark.parametrize("digits", [6, 11, 65])
def test_a_fingerprint_of_another_length_is_no_unknown_file(
    traced: str, source: Path, digits: int
) -> None:
    text = (fingerprint(str(source)) * 2)[:digits]
    with pytest.raises(InputError, match=f"has {digits} digits; expected the first 12 at least"):
        describe_source(traced, text)


@pytest.mark.parametrize(
    "way", ["file://{}", "{}/", "{parent}/./x/../{name}", "file://{parent}/%66aces.csv"]
)
def test_a_source_that_is_gone_is_found_however_its_name_is_written(
    traced: str, source: Path, way: str
) -> None:
    source.unlink()
    found = describe_source(traced, way.format(source, parent=source.parent, name=source.name))
    assert {each["version"] for each in found["releases"]} == {1, 2}
    assert found["runs"] == ["run-7"]


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_run_whose_record_is_damaged_is_told(traced: str, source: Path) -> None:
    Path(traced, "runs", "damaged").mkdir()
    Path(traced, "runs", "damaged", "resolve.json").write_text("{")
    Path(traced, "runs", "no-record").mkdir()
    (line,) = (line for line in describe(traced, str(source)) if "damaged" in line)
    assert line.startswith("Run damaged  not known: ")
    assert "resolve.json: not JSON" in line


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_password_is_not_shown(traced: str) -> None:
    result = emotion_ai("describe", "--registry", traced, "--source", "gs://me:hidden@faces/x.csv")
    assert_refused(result, 2, "gs://...@faces/x.csv: no user and no password")
    assert "hidden" not in result.stdout + result.stderr
