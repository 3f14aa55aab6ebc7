"""release.json is read strictly, and what two models have in common is told by their digest."""

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.digest import ModelContent, content_digest, weights_sha256
from emotion_ai.registry.releases import INFO_PATH, read_release

from support.minimal_release import Publisher

_CONTENT = ModelContent(
    label_set="fer7", labels=("angry", "happy"), signatures={"s": 1}, weights_sha256="0"
)


def test_an_absent_release_is_answered_with_those_there(
    registry: str, publish_small: Publisher
) -> None:
    with pytest.raises(InputError, match="no release 1; there are: none"):
        read_release(registry, 1)
    publish_small("a")
    publish_small("b")
    with pytest.raises(InputError, match="no release 3; there are: 1, 2"):
        read_release(registry, 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{}", "content_digest: Field required"),
        (b"{", "the whole file: Invalid JSON"),
        (b'{"surprise": 1}', "content_digest"),
    ],
)
@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_damaged_release_json_is_named(
    registry: str, publish_small: Publisher, text: bytes, says: str
) -> None:
    publish_small("a")
    storage.write_bytes(storage.join(registry, "1", INFO_PATH), text)
    with pytest.raises(InputError, match=rf"release\.json: {says}"):
        read_release(registry, 1)


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_release_under_another_number_is_refused(registry: str, publish_small: Publisher) -> None:
    publish_small("a")
    text = storage.read_bytes(storage.join(registry, "1", INFO_PATH), 1 << 20)
    storage.write_bytes(storage.join(registry, "5", INFO_PATH), text)
    with pytest.raises(InputError, match="says version 1; expected 5"):
        read_release(registry, 5)


def test_the_content_digest_covers_what_answers_and_nothing_else() -> None:
    digest = content_digest(_CONTENT, "r1")
    same = _CONTENT.model_copy(update={"packages": {"keras": "3"}})
    assert content_digest(same, "r1") == digest
    changes = {"label_set": "course5", "labels": ("happy",), "signatures": {}, "weights_sha256": ""}
    others = {
        content_digest(_CONTENT.model_copy(update={name: value}), "r1")
        for name, value in changes.items()
    } | {content_digest(_CONTENT, "r2"), digest}
    assert len(others) == len(changes) + 2


def test_the_weights_digest_ignores_order_alone() -> None:
    a, b = np.arange(6, dtype=np.float32), np.ones(2, dtype=np.float32)
    digest = weights_sha256([("a", a), ("b", b)])
    assert weights_sha256([("b", b), ("a", a)]) == digest
    # Memory order is not content either.
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
