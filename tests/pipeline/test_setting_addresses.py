"""Addresses of sources, registry and checkpoints: refused at compile and at the run's start."""

from pathlib import Path
from typing import Any

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import load_run_settings
from emotion_ai.registry.runs import read_records
from emotion_ai.storage.uri import hide_password

from support.command_line import assert_refused, emotion_ai
from support.resolve_step import SAMPLE, run_resolve

ADDRESSES = [
    ("s3://faces/fer2013.csv", "s3://faces/fer2013.csv: scheme s3:// cannot be read"),
    ("gs://", "gs://: names no bucket"),
    ("gs:///faces.csv", "gs:///faces.csv: names no bucket"),
    ("  ", "empty"),
    ("https://me:hidden@example.com/faces.csv", "https://...@example.com/faces.csv: no user and"),
    ("https://me:hid/den@example.com/faces.csv", "https://...@example.com/faces.csv: scheme"),
    ("https://example.com/faces.csv?sig=hidden", "https://example.com/faces.csv?...: scheme"),
    ("gs://me:hidden@faces/fer2013.csv", "gs://...@faces/fer2013.csv: no user and no password"),
    ("file://me:hidden@host/faces.csv", "file://...@host/faces.csv: no user and no password"),
]


@pytest.mark.parametrize("name", ["keypoints", "expression", "registry", "checkpoints"])
@pytest.mark.parametrize(("address", "words"), ADDRESSES)
def test_settings_with_such_an_address_are_refused(name: str, address: str, words: str) -> None:
    with pytest.raises(InputError) as failure:
        load_run_settings("cluster", flags={name: address})
    assert str(failure.value).startswith(f"setting run.{name}: ")
    assert words in str(failure.value)
    assert "hid" not in str(failure.value)


@pytest.mark.parametrize("name", ["keypoints", "expression", "registry"])
def test_an_empty_address_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"setting run\.{name}: .* is empty; expected"):
        load_run_settings("cluster", flags={name: ""})
    assert load_run_settings("cluster", flags={"checkpoints": ""}).checkpoints == ""


@pytest.mark.parametrize(
    "address",
    ["gs://faces/fer@2013.csv", "faces@home/a:b.csv", "/data/fer.csv", "file:///a@b/c.csv", SAMPLE],
)
def test_other_addresses_are_taken(address: str) -> None:
    assert load_run_settings("cluster", flags={"keypoints": address}).keypoints == address
    assert hide_password(address) == address


@pytest.mark.parametrize("command", ["run", "compile"])
def test_no_password_is_printed_and_nothing_is_written(command: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("run: {expression: 'https://me:hidden@example.com/fer2013.csv'}")
    result = emotion_ai(command, "--environment", path.name, cwd=tmp_path)
    assert_refused(result, 2, "setting run.expression", "https://...@example.com/fer2013.csv")
    assert "hidden" not in result.stdout + result.stderr
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("name", ["keypoints", "expression", "checkpoints"])
@pytest.mark.parametrize(("address", "words"), ADDRESSES)
def test_a_run_with_such_an_address_ends_in_its_first_step(
    name: str, address: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run_resolve(str(tmp_path), **{name: address})
    assert end.value.code == 2
    log = "".join(capsys.readouterr())
    assert f"setting {name}: " in log
    assert words in log
    assert "hid" not in log
    failure = read_records(str(tmp_path), "nightly")["failure"]
    assert words in failure["message"]
    assert all(b"hid" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("registry", ["", "s3://faces/models", "gs://me:hidden@faces/models"])
def test_a_run_with_such_a_registry_ends_in_its_first_step(
    registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run_resolve(registry)
    assert end.value.code == 2
    assert "hidden" not in "".join(capsys.readouterr())
    assert not Path("/runs").exists()


@pytest.mark.parametrize("seed", [7.5, "7", True])
def test_a_run_with_a_seed_that_is_no_whole_number_ends_in_its_first_step(
    seed: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run_resolve(str(tmp_path), seed=seed)
    assert end.value.code == 2
    assert "setting seed = " in capsys.readouterr().err


def test_the_storage_itself_shows_no_password() -> None:
    for read in (storage.exists, storage.is_folder, storage.list_names, storage.open_binary):
        with pytest.raises(InputError, match=r"gs://\.\.\.@faces/x: no user") as failure:
            read("gs://me:hidden@faces/x")
        assert "hidden" not in str(failure.value)
