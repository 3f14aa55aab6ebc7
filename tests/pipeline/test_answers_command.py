"""`emotion-ai answers`: releases answer to a run's training faces, in a bank that the run takes."""

from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.answers import open_bank, read_bank
from emotion_ai.pipeline.local.answers import write_answers
from emotion_ai.pipeline.settings import load_run_settings
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare
from emotion_ai.steps.resolve.checks import check_storages

SOURCE = "sample://60?seed=2"
TINY = str(Path(__file__).parent / "tiny.yaml")


def test_a_bank_made_by_the_command_is_for_the_run(tmp_path: Path) -> None:
    registry = str(tmp_path / "registry")
    flags = {"expression": SOURCE, "registry": registry, "teachers": "pretrained"}
    settings = load_run_settings("local", TINY, flags)
    output = tmp_path / "bank.npz"
    done: list[int] = []
    info = write_answers(settings, 2, output, done.append)
    assert done == [1, 2]
    assert [teacher.name for teacher in info.teachers] == ["pretrained"]

    taught = load_run_settings("local", TINY, flags | {"teachers": str(output)})
    parameters = {
        "teachers": taught.teachers,
        "seed": taught.seed,
        "expression_training": taught.training.expression.model_dump(),
    }
    start = check_storages(SOURCE, SOURCE, registry, parameters)
    bank = read_bank(start.teachers[0])
    folder = [str(tmp_path / name) for name in ("ingested", "a.html", "a.json", "faces", "b.html")]
    ingest(SOURCE, "", "expression", "fer7", "", {}, *folder[:3])
    prepare(folder[0], {}, *folder[3:])
    answers = open_bank(
        start.teachers[0], Faces(folder[3]), taught.training.expression, taught.seed
    )
    np.testing.assert_array_equal(answers, bank.answers)
    assert len(answers) == 2
    assert (answers[0] != answers[1]).any()


def test_what_cannot_answer_is_refused_before_a_face_is_read(tmp_path: Path) -> None:
    flags = {"expression": SOURCE, "registry": str(tmp_path / "registry")}
    for teachers, name, sentence in (
        ("bank.npz", "bank.npz", "a bank of answers cannot answer"),
        ("champion", "bank.npz", "there is none to answer"),
        ("7", "bank.npz", "teachers '7': expected pretrained, champion"),
        ("pretrained", "bank.zip", "expected the name of an .npz file"),
        ("pretrained", "none/bank.npz", "there is no folder"),
    ):
        settings = load_run_settings("local", TINY, flags | {"teachers": teachers})
        with pytest.raises(InputError, match=sentence):
            write_answers(settings, 1, tmp_path / name, print)
    five = flags | {"teachers": "pretrained", "emotions": "happy,sad"}
    with pytest.raises(InputError, match="a teacher here must predict happy, sad"):
        write_answers(load_run_settings("local", TINY, five), 1, tmp_path / "bank.npz", print)
