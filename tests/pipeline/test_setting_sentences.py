"""What is said of an invalid setting: its name, its value and what is expected, in plain words."""

import datetime
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import Environment, RunSettings, load_run_settings
from emotion_ai.settings import require_whole, validate_settings

NAN, INFINITY = math.nan, math.inf
WRONG: tuple[Any, ...] = (
    *(NAN, INFINITY, -INFINITY, 7.5, -1, 10**30, "NaN", "x y", "", True, None),
    *([], [None], [1.5], {}, {"?": 1}, {1: 2}, datetime.date(2026, 1, 2)),
)
# Words of pydantic's own.
FOREIGN = re.compile(
    r"[Ii]nput should|String should|Value error|Field required|Keys? should|unable to|parse|valid |"
    r"dictionary|instance of|tuple|greater than|less than or|match pattern|\[key\]|\w+\("
)


def fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a model and of the models within it: its path and its type."""
    for name, field in model.model_fields.items():
        yield (*path, name), field.annotation
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                # What is given by step is given for one.
                step = ("evaluate",) if get_origin(field.annotation) is dict else ()
                yield from fields(kind, (*path, name, *step))


FIELDS = [(model, *field) for model in (RunSettings, Environment) for field in fields(model)]


def refusal(model: type[BaseModel], path: tuple[str, ...], value: Any) -> str:
    """What is said of a value in this place; "" if it is taken."""
    for name in reversed(path):
        value = {name: value}
    try:
        validate_settings(model, value, "top")
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("model", "path", "kind"), FIELDS, ids=[".".join(field[1]) for field in FIELDS]
)
def test_every_setting_is_refused_in_plain_words(
    model: type[BaseModel], path: tuple[str, ...], kind: Any
) -> None:
    said = {repr(value): refusal(model, path, value) for value in WRONG}
    assert any(said.values()), "each setting refuses something"
    for value, sentence in said.items():
        assert not FOREIGN.search(sentence), (value, sentence)
        assert sentence == "" or sentence.startswith(f"setting top.{path[0]}"), (value, sentence)
        assert "\n" not in sentence
    kinds = () if get_origin(kind) is tuple else (kind, *get_args(kind))
    if int in kinds or float in kinds:
        for value in ("nan", "inf", "-inf", "'NaN'", "True"):
            assert said[value].startswith(f"setting top.{'.'.join(path)} = "), value
    if int in kinds:
        assert said["7.5"].endswith(" = 7.5: expected a whole number")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: {seed: 7.5}", "run.seed = 7.5: expected a whole number"),
        ("run: {seed: yes}", "run.seed = true: expected a number"),
        ("run: {seed: .inf}", "run.seed = inf: expected a finite number"),
        (
            "run: {validation: {p99_budget_ms: .inf}}",
            "run.validation.p99_budget_ms = inf: expected a finite number",
        ),
        (
            "run: {training: {keypoints: {widths: 7}}}",
            "run.training.keypoints.widths = 7: expected a list",
        ),
        (
            "run: {training: {keypoints: {widths: {a: 7}}}}",
            "run.training.keypoints.widths holds keys and values: expected a list",
        ),
        (
            "run: {training: {keypoints: {epochs: -1}}}",
            "run.training.keypoints.epochs = -1: expected at least 0",
        ),
        (
            "run: {training: {keypoints: {learning_rate: 2}}}",
            "run.training.keypoints.learning_rate = 2: expected at most 1",
        ),
        (
            "run: {training: {keypoints: {widths: [8, 0]}}}",
            "run.training.keypoints.widths.1 = 0: expected at least 1",
        ),
        ("run: {label_set: 7}", "run.label_set = 7: expected text, in quotes"),
        ("run: {keypoints: null}", "run.keypoints = null: expected text"),
        (
            "run: {gate: {expression: {recall: {angst: 1}}}}",
            "run.gate.expression.recall.angst: 'angst' is no name here; expected an emotion: one "
            "of angry, disgust, fear, happy, sad, surprise, neutral, anger",
        ),
        (
            "run: {serving: {rollout: {canary: {bake_s: 900, max_bake_s: 1}}}}",
            "run.serving.rollout.canary: max_bake_s is less than bake_s, 900",
        ),
        (
            "compile: {resources: {evaluate: {cpu: 1.5}}}",
            "compile.resources.evaluate.cpu = 1.5: expected text, in quotes",
        ),
        (
            "compile: {resources: {evaluate: {memory: 4 GB}}}",
            "compile.resources.evaluate.memory = '4 GB': expected an amount of memory, such as "
            "512M or 4Gi",
        ),
        (
            "compile: {cluster: {registry_volume: {path: /faces}}}",
            "compile.cluster.registry_volume.claim is missing",
        ),
        (
            "1: {}",
            "1: expected a name as key, in quotes where it looks like a number",
        ),
        (
            "compiler: {}",
            "compiler is unknown; known are compile, preset, run; did you mean compile?",
        ),
    ],
)
def test_the_file_the_setting_and_what_is_expected_are_named(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as failure:
        load_run_settings(str(path))
    assert str(failure.value) == f"environment {path}: setting {sentence}"


def test_no_secret_of_the_environment_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    opened = "{environment: {PROXY: 'http://me:hidden@proxy'}"
    for cluster in (
        f"{opened}, registry_volume: {{claim: c, path: /a}}, "
        "registry_secret: {name: s, path: /a/b}}",
        f"[{opened}}}]",
        "'http://me:hidden@proxy'",
        f"{opened}, tolerations: {opened}}}}}",
    ):
        path.write_text(f"compile: {{cluster: {cluster}}}")
        with pytest.raises(InputError, match=r"setting compile\.cluster") as failure:
            load_run_settings(str(path))
        assert "hidden" not in str(failure.value)
        path = path.with_name(f"{path.stem}-.yaml")


@pytest.mark.parametrize("value", [7.5, NAN, INFINITY, True, "7", None, [7]])
def test_a_parameter_that_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"setting keep = .*: expected a whole number"):
        require_whole(value, "keep")


def test_a_whole_number_may_be_a_float_as_kfp_sends_it() -> None:
    assert isinstance(require_whole(7.0, "keep"), int)
    assert require_whole(7, "keep", at_least=7) == 7
    with pytest.raises(InputError, match="setting keep = 0: expected at least 1"):
        require_whole(0.0, "keep", at_least=1)
