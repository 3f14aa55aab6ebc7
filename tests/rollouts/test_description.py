"""Descriptions of registries and servers, as `emotion-ai describe` prints them."""

import json
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.releases import INFO_PATH
from emotion_ai.rollouts.description import describe
from emotion_ai.server.process import running_server
from emotion_ai.steps.validate.checks import load_check

from support.minimal_release import Publisher


def test_describe_accepts_an_empty_registry(registry: str) -> None:
    # What a run that was rejected leaves.
    storage.write_bytes(storage.join(registry, "runs", "a", "run.json"), b"{}")
    assert describe(registry, None, None) == {
        "registry": registry,
        "champion": None,
        "releases": [],
    }


def test_describe_lists_every_release_with_its_origin(
    registry: str, publish_and_roll_out: Publisher, publish_minimal: Publisher
) -> None:
    publish_and_roll_out("a")
    publish_minimal("b", 1)
    description = json.loads(json.dumps(describe(registry, None, None)))
    assert description["champion"] == 1
    assert [(r["version"], r["is_champion"]) for r in description["releases"]] == [
        (1, True),
        (2, False),
    ]
    second = description["releases"][1]
    assert second["parent"] == 1
    assert second["data"]["expression"]["source"] == "fer2013.csv"
    assert second["data"]["keypoints"]["rows"] == 20
    assert second["created"].startswith("2026-01-02T")
    assert second["revision"] == "abc123"
    assert second["metrics"] == {"expression/PrivateTest/accuracy": 0.61}
    assert second["gate"]["reasons"] == ["this is the first release"]
    assert "files" not in second


def test_describe_shows_one_release_in_full(registry: str, publish_minimal: Publisher) -> None:
    publish_minimal("a")
    publish_minimal("b")
    (release,) = describe(registry, 2, None)["releases"]
    assert release["version"] == 2
    assert set(release["files"]) == {"saved_model.pb", "variables/variables.index"}
    assert release["packages"] == {"tensorflow": "2.20.0"}
    with pytest.raises(InputError, match="no release 9; there are: 1, 2"):
        describe(registry, 9, None)


def test_describe_lists_the_releases_beside_a_damaged_one(
    registry: str, publish_minimal: Publisher
) -> None:
    publish_minimal("a")
    publish_minimal("b")
    storage.write_bytes(storage.join(registry, "1", INFO_PATH), b"{}")
    first, second = describe(registry, None, None)["releases"]
    assert "release.json" in first["error"]
    assert second["revision"] == "abc123"


def test_describe_names_an_unreachable_server(registry: str, publish_minimal: Publisher) -> None:
    publish_minimal("a", 1)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        describe(registry, None, "127.0.0.1:9")


def test_describe_shows_what_a_server_serves(tmp_path: Path) -> None:
    from support.tiny_saved_model import publish_tiny_release

    registry = tmp_path / "registry"
    version = publish_tiny_release(registry, tmp_path, shift=0.0, golden_shift=0.0)
    write_champion(str(registry), version)
    with running_server(str(registry), tmp_path / "log") as address:
        with Client(address) as client:
            assert load_check(client, version, 120.0).passed
        description = describe(str(registry), None, address)
    assert description["champion"] == 1
    assert description["serving"] == {
        "server": address,
        "versions": {"1": "AVAILABLE"},
        "errors": {},
    }
