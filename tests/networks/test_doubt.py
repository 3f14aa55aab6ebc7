"""Doubtful labels: planted ones come first."""

from pathlib import Path

import numpy as np
import pytest

from emotion_ai.apps.audit.ranking import rank
from emotion_ai.errors import InputError
from emotion_ai.networks.doubt import out_of_fold, read_features

from support.ingest_step import LENIENT, Outputs


def test_planted_labels_are_among_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(tmp_path)
    outputs.ingest("sample://300?seed=5", checks=LENIENT)
    faces = outputs.faces
    seen: list[int] = []
    monkeypatch.setattr("emotion_ai.networks.doubt._FACES_AT_ONCE", 256)
    features = read_features(faces, "pretrained", seen.append)
    assert seen == [256, len(faces)]
    generator = np.random.default_rng(0)
    planted = generator.choice(len(faces), 20, replace=False)
    targets = faces.column("targets")
    targets[planted] = (targets[planted] + generator.integers(1, 7, 20)) % 7
    found = rank(out_of_fold(features, targets, np.arange(len(faces)), 7), targets, 60)
    # One of five is shown: by chance 4 of the 20 would be among them.
    assert len({suspect.position for suspect in found} & set(planted.tolist())) >= 14
    assert [suspect.probability for suspect in found] == sorted(s.probability for s in found)


def test_a_label_is_not_judged_by_what_has_seen_it() -> None:
    """Faces without any pattern: who had seen the labels would know them."""
    generator = np.random.default_rng(1)
    features = generator.normal(size=(200, 100)).astype(np.float32)
    targets = generator.integers(0, 2, 200).astype(np.uint8)
    answers = out_of_fold(features, targets, np.arange(200), 2)
    assert np.allclose(answers.sum(1), 1, atol=1e-4)
    assert (answers.argmax(1) == targets).mean() < 0.65
    # Two pictures of a person in each group would betray each other; in one fold they cannot.
    twice, labels = np.repeat(features, 2, axis=0), np.repeat(targets, 2)
    answers = out_of_fold(twice, labels, np.repeat(np.arange(200), 2), 2)
    assert (answers.argmax(1) == labels).mean() < 0.65


@pytest.mark.parametrize(
    ("targets", "persons"),
    [
        pytest.param([0] * 39 + [1], 40, id="one face of an emotion"),
        pytest.param([0] * 40, 40, id="one emotion"),
        pytest.param([0, 1] * 4, 8, id="four faces of each emotion"),
        pytest.param([0, 1] * 20, 4, id="four persons"),
        pytest.param([], 1, id="no face"),
    ],
)
def test_too_few_faces_are_refused(targets: list[int], persons: int) -> None:
    features = np.random.default_rng(0).normal(size=(len(targets), 3)).astype(np.float32)
    groups = np.arange(len(targets)) % persons
    with pytest.raises(InputError, match="too few faces"):
        out_of_fold(features, np.array(targets, np.uint8), groups, 2)
