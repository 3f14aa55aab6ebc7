"""Parameters of a run that are none are told before anything is uploaded."""

from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.parameters import check_parameters
from emotion_ai.pipeline.publishing.order import Order, parse_parameters
from emotion_ai.pipeline.publishing.publish import publish, publish_again
from emotion_ai.pipeline.publishing.server import connect
from emotion_ai.pipeline.publishing.uploads import read_spec, version_name
from emotion_ai.pipeline.publishing.values import check_values

from support.kfp_api_server import KfpApiServer
from support.kfp_server_rule import refusals
from support.publishing import NIGHTLY

TEXT = "expected text (digits, true, false and null as text need quotes of their own: '\"2026\"')"
ACCEPTED = [
    "seed=7",
    "seed=7.0",
    "keep=3",
    "run_name=nightly",
    'run_name="2026"',
    "emotions=",
    'teachers=[1, "champion"]',
    'gate={"expression": {"accuracy": 0.6}}',
    "gate={}",
]


REFUSED = [
    ("sead=7", "parameter 'sead' is unknown; the pipeline knows checkpoints, checks, "),
    ("run_name=2026", f"parameter run_name = 2026: {TEXT}"),
    ("run_name=null", f"parameter run_name = null: {TEXT}"),
    ("label_set=true", "parameter label_set = true: expected text"),
    ("seed=seven", 'parameter seed = "seven": expected a whole number'),
    ("seed=true", "parameter seed = true: expected a whole number"),
    ("seed=7.5", "parameter seed = 7.5: expected a whole number"),
    ("seed=", 'parameter seed = "": expected a whole number'),
    ("seed=9007199254740993", "parameter seed = 9007199254740993: expected a whole number"),
    ("seed=NaN", "parameter seed = NaN: expected a whole number"),
    ("seed=1e999", "parameter seed = Infinity: expected a whole number"),
    ("teachers=1", "parameter teachers = 1: expected a list in JSON, such as '[1, \"champion\"]'"),
    ("teachers=1,champion", 'parameter teachers = "1,champion": expected a list in JSON'),
    ("gate=[]", "parameter gate = []: expected an object in JSON"),
    ("gate={accuracy: 1}", 'parameter gate = "{accuracy: 1}": expected an object in JSON'),
    ('gate={"a": {"b": NaN}}', 'parameter gate = {"a": {"b": NaN}}: expected an object in JSON'),
    (f"teachers={'[' * 9999}", "parameter teachers: lists or objects within too many others"),
    # What the first step would refuse at night.
    ("label_set=fer8", "label set 'fer8' is unknown"),
    ('gate={"expresion": {"accuracy": 0.5}}', "setting gate.expresion is unknown"),
    ('gate={"expression": {"accuracy": "high"}}', "setting gate.expression.accuracy"),
    ("seed=-1", "setting seed"),
    ("keep=0", "setting keep"),
    ("keypoints=", "setting keypoints"),
    ('rollout_settings={"canary": {"bake_s": 600, "max_bake_s": 1}}', "setting rollout_settings"),
]


@pytest.fixture(scope="module")
def spec(packages: tuple[Path, Path]) -> dict[str, Any]:
    return read_spec(packages[0])


def test_parameters_are_read_as_the_kfp_command_reads_them() -> None:
    given = ["seed=7", "name=a=b", 'gate={"x": 1}', 'run_name="2026"', "empty="]
    expected = {"seed": 7, "name": "a=b", "gate": {"x": 1}, "run_name": "2026", "empty": ""}
    assert parse_parameters(given, are_used=True) == expected
    for arguments in (["seed"], ["=7"], ["a b=1"], ["seed=1", "seed=2"]):
        with pytest.raises(InputError, match=r"expected NAME=VALUE|given twice"):
            parse_parameters(arguments, are_used=True)
    with pytest.raises(InputError, match="name a --schedule or a --run"):
        parse_parameters(["seed=7"], are_used=False)


@pytest.mark.parametrize(
    "value",
    [
        '{"accuracy": 0.6, "accuracy": 0.7}',
        '{"expression": {"accuracy": 0.6, "recall": 0.2, "accuracy": 0.6}}',
        '[1, [{"accuracy": {"accuracy": null}, "\\u0061ccuracy": 2}]]',
    ],
)
def test_a_key_that_is_given_twice_in_a_parameter_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="parameter gate: the key 'accuracy' is given twice"):
        parse_parameters([f"gate={value}"], are_used=True)
    once = parse_parameters(['gate={"expression": {"accuracy": {"accuracy": 1}}}'], are_used=True)
    assert once == {"gate": {"expression": {"accuracy": {"accuracy": 1}}}}


@pytest.mark.parametrize(
    ("argument", "question"),
    [
        ("sead=7", "did you mean seed?"),
        ("teacher=[1]", "did you mean teachers?"),
        ('gate={"expresion": {}}', "did you mean expression?"),
        ('retention={"run_days": 9}', "did you mean runs_days?"),
    ],
)
def test_a_name_that_is_almost_one_is_asked_for(
    argument: str, question: str, spec: dict[str, Any]
) -> None:
    def check(parameters: dict[str, Any]) -> None:
        check_parameters(parameters, spec)
        check_values(parameters, spec)

    with pytest.raises(InputError) as failure:
        check(parse_parameters([argument], are_used=True))
    assert str(failure.value).endswith(f"; {question}")


@pytest.mark.parametrize("argument", ACCEPTED)
def test_parameters_that_the_server_takes_are_sent(argument: str, spec: dict[str, Any]) -> None:
    parameters = parse_parameters([argument], are_used=True)
    check_parameters(parameters, spec)
    assert refusals(parameters, spec) == []


@pytest.mark.parametrize(("argument", "words"), REFUSED)
def test_a_parameter_that_is_none_is_told_before_the_upload(
    argument: str, words: str, kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    def publish_with_it() -> None:
        order = Order(schedule=NIGHTLY, parameters=parse_parameters([argument], are_used=True))
        list(publish(connect(kfp.address), packages[0], order))

    with pytest.raises(InputError) as failure:
        publish_with_it()
    assert str(failure.value).startswith(words)
    assert kfp.requests == []


def test_a_parameter_without_a_value_is_told() -> None:
    declared: dict[str, Any] = {
        "version": {"parameterType": "STRING"},
        "reason": {"parameterType": "STRING", "isOptional": True},
        "wait": {"parameterType": "BOOLEAN", "defaultValue": False},
        "share": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
    }
    spec = {"root": {"inputDefinitions": {"parameters": declared}}}
    check_parameters({"version": "7", "wait": True, "share": 1}, spec)
    with pytest.raises(InputError, match="parameter 'version' has no default and is not given"):
        check_parameters({}, spec)
    with pytest.raises(InputError, match="parameter wait = 1: expected true or false"):
        check_parameters({"version": "7", "wait": 1}, spec)
    with pytest.raises(InputError, match='parameter share = "a": expected a number'):
        check_parameters({"version": "7", "share": "a"}, spec)
    with pytest.raises(InputError, match=r"the pipeline knows $"):
        check_parameters({"a": 1}, {"root": {}})


def test_parameters_of_a_published_version_are_compared_with_that_version(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    server, version = connect(kfp.address), version_name(packages[0])
    list(publish(server, packages[0], Order()))
    kfp.requests.clear()
    order = Order(schedule=NIGHTLY, parameters={"sead": 7})
    with pytest.raises(InputError, match="parameter 'sead' is unknown"):
        list(publish_again(server, version, order))
    assert all(request.startswith("GET ") for request in kfp.requests)
    (row,) = kfp.versions.values()
    # What the server returns where pods are placed too.
    row["pipeline_spec"] = {"pipeline_spec": row["pipeline_spec"], "platform_spec": {}}
    with pytest.raises(InputError, match="parameter 'sead' is unknown"):
        list(publish_again(server, version, order))
    row["pipeline_spec"] = {"spec": {"arguments": {}}}
    with pytest.raises(InputError, match="holds no pipeline of KFP 2"):
        list(publish_again(server, version, order))
