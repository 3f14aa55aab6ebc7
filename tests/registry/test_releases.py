"""Tests of `registry.releases` and `registry.digest`."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.client.analyzer import Analyzer
from emotion_ai.errors import InputError
from emotion_ai.pipeline.source_tracing import describe_source
from emotion_ai.registry.digest import ModelContent, content_digest, weights_sha256
from emotion_ai.registry.releases import INFO_PATH, read_release
from emotion_ai.registry.run_description import describe_run
from emotion_ai.rollouts.description import describe

from support.minimal_release import Publisher

_CONTENT = ModelContent(
    label_set="fer7", labels=("angry", "happy"), signatures={"s": 1}, weights_sha256="0"
)

_DATA = {"source": "faces.csv", "fingerprint": "f", "rows": 3}


def test_read_release_lists_the_existing_versions_for_a_missing_one(
    registry: str, publish_minimal: Publisher
) -> None:
    storage.write_bytes(storage.join(registry, "notes.txt"), b"mine")
    with pytest.raises(InputError, match="no release 1; there are: none"):
        read_release(registry, 1)
    publish_minimal("a")
    publish_minimal("b")
    with pytest.raises(InputError, match="no release 3; there are: 1, 2"):
        read_release(registry, 3)


def test_registry_that_does_not_exist_is_no_empty_one(registry: str) -> None:
    typo = storage.join(registry, "modles")
    readers: list[Callable[[], object]] = [
        lambda: describe(typo, None, None),
        lambda: read_release(typo, 1),
        lambda: describe_run(typo, "run-1"),
        lambda: describe_source(typo, "0123456789abcdef"),
        lambda: Analyzer(registry=typo),
    ]
    for read in readers:
        with pytest.raises(InputError) as refusal:
            read()
        assert str(refusal.value).startswith(f"{typo}: no")
        assert "such folder" in str(refusal.value) or "in the bucket" in str(refusal.value)
    storage.write_bytes(storage.join(typo, "notes.txt"), b"mine")
    assert describe(typo, None, None)["releases"] == []


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_read_release_takes_the_former_name_of_a_kind(
    registry: str, publish_minimal: Publisher
) -> None:
    publish_minimal("a")
    uri = storage.join(registry, "1", INFO_PATH)
    release = json.loads(storage.read_bytes(uri, 1 << 20))
    release["data"] = {"keypoints": _DATA, "expressions": _DATA | {"rows": 7}}
    release["training"] = {"expressions": {"epochs": 3}}
    release["lite"] = {"weights": "int8", "expressions": {"rows": 5.0}}
    storage.write_bytes(uri, json.dumps(release).encode())
    info = read_release(registry, 1)
    assert info.data["expression"].rows == 7
    assert info.training["expression"] == {"epochs": 3}
    assert info.lite == {"weights": "int8", "expression": {"rows": 5.0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{}", "content_digest: Field required"),
        (b"{", "the whole file: Invalid JSON"),
        (b'{"surprise": 1}', "content_digest"),
    ],
)
@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_read_release_names_a_damaged_release_json(
    registry: str, publish_minimal: Publisher, text: bytes, message: str
) -> None:
    publish_minimal("a")
    storage.write_bytes(storage.join(registry, "1", INFO_PATH), text)
    with pytest.raises(InputError, match=rf"release\.json: {message}"):
        read_release(registry, 1)


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_read_release_rejects_another_version_number(
    registry: str, publish_minimal: Publisher
) -> None:
    publish_minimal("a")
    text = storage.read_bytes(storage.join(registry, "1", INFO_PATH), 1 << 20)
    storage.write_bytes(storage.join(registry, "5", INFO_PATH), text)
    with pytest.raises(InputError, match="says version 1; expected 5"):
        read_release(registry, 5)


def test_content_digest_covers_the_answers_and_nothing_else() -> None:
    digest = content_digest(_CONTENT, "r1")
    same = _CONTENT.model_copy(update={"packages": {"keras": "3"}})
    assert content_digest(same, "r1") == digest
    changes = {"label_set": "course5", "labels": ("happy",), "signatures": {}, "weights_sha256": ""}
    others = {
        content_digest(_CONTENT.model_copy(update={name: value}), "r1")
        for name, value in changes.items()
    } | {content_digest(_CONTENT, "r2"), digest}
    assert len(others) == len(changes) + 2


def test_weights_sha256_ignores_only_the_order() -> None:
    a, b = np.arange(6, dtype=np.float32), np.ones(2, dtype=np.float32)
    digest = weights_sha256([("a", a), ("b", b)])
    assert weights_sha256([("b", b), ("a", a)]) == digest
    # The order in memory is no content either.
    square = np.arange(4.0).reshape(2, 2)
    assert weights_sha256([("s", np.asfortranarray(square))]) == weights_sha256([("s", square)])
    variants = (
        [("a", b), ("b", a)],
        [("a", a.reshape(2, 3)), ("b", b)],
        [("a", a.view(np.int32)), ("b", b)],
        [("c", a), ("b", b)],
        [("a", a)],
    )
    assert digest not in {weights_sha256(variant) for variant in variants}
