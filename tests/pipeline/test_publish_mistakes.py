"""What a person does wrong with `emotion-ai publish` is told before anything is uploaded."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.parameters import check_parameters
from emotion_ai.pipeline.publishing.address import check_address
from emotion_ai.pipeline.publishing.order import Order, parse_parameters
from emotion_ai.pipeline.publishing.publish import publish, publish_again
from emotion_ai.pipeline.publishing.server import connect
from emotion_ai.pipeline.publishing.uploads import read_spec, version_name
from emotion_ai.pipeline.publishing.values import check_values

from support.command_line import assert_refused, emotion_ai
from support.kfp_api_server import KfpApiServer
from support.kfp_server_rule import refusals

NIGHTLY = "0 0 3 * * *"
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version", "0123456789ab", "--preset", "quick", "--schedule", NIGHTLY],
        ["--version", "0123456789ab"],
    ],
)
def test_options_that_have_no_part_together_are_refused(
    arguments: list[str], kfp: KfpApiServer
) -> None:
    result = emotion_ai("publish", "--kfp", kfp.address, *arguments)
    assert_refused(result, 2, "--version 0123456789ab")
    assert kfp.requests == []


def test_a_schedule_is_checked_and_normalised_by_the_command(
    kfp: KfpApiServer, environment: str
) -> None:
    command = ["publish", "--kfp", kfp.address, "--environment", environment, "--schedule"]
    assert_refused(emotion_ai(*command, "0 0 24 * * *"), 2, "hour '24': there is no 24; expected 0")
    assert kfp.requests == []
    result = emotion_ai(*command, " 0 00  3 ? * mon-fri ")
    assert result.returncode == 0, result.stderr
    (row,) = kfp.schedules.values()
    assert row["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * MON-FRI"


def test_a_schedule_with_the_same_times_is_the_same(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    order = Order(schedule="0 0 3 * * MON-FRI")
    list(publish(connect(kfp.address), packages[0], order))
    (row,) = kfp.schedules.values()
    # As it was given to another version of this command.
    row["trigger"]["cron_schedule"]["cron"] = "0  0 03 ? * Mon-Fri"
    lines = list(publish(connect(kfp.address), packages[0], order))
    assert "there already" in lines[-1]
    assert list(kfp.schedules.values()) == [row]
    row["trigger"]["cron_schedule"]["cron"] = "@daily"
    list(publish(connect(kfp.address), packages[0], order))
    (after,) = kfp.schedules.values()
    assert after["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * MON-FRI"


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


@pytest.mark.parametrize("option", ["--run", "--schedule", "--version", "--namespace", "--preset"])
def test_an_option_that_is_given_and_empty_is_refused(option: str, kfp: KfpApiServer) -> None:
    result = emotion_ai("publish", "--kfp", kfp.address, option, " ")
    assert_refused(result, 2, f"{option}: is empty; give it a value, or leave it out")
    assert kfp.requests == []


@pytest.mark.parametrize("name", ["a\nb", b"\xff".decode(errors="surrogateescape")])
def test_a_name_of_a_run_that_cannot_be_printed_is_refused(name: str, kfp: KfpApiServer) -> None:
    result = emotion_ai("publish", "--kfp", kfp.address, "--run", name)
    assert_refused(result, 2, "--run ", "expected a name, of characters that can be printed")
    assert kfp.requests == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (" http://localhost:8888/ ", "http://localhost:8888"),
        ("HTTPS://kubeflow.example.com/pipeline//", "HTTPS://kubeflow.example.com/pipeline"),
        ("http://[::1]:8888", "http://[::1]:8888"),
        ("http://münchen.example", "http://münchen.example"),
    ],
)
def test_addresses_that_are_taken(given: str, expected: str) -> None:
    assert check_address(given) == expected


@pytest.mark.parametrize(
    "address",
    [
        "http://me:secret@localhost:8888",
        "http://secret@localhost",
        "me:secret@localhost:8888",
        # urlsplit takes the password for a port, and says so.
        "http://me:secret/more@localhost",
        "http://localhost:8888/?token=secret",
        "http://localhost:8888/#/secret",
        "localhost:8888?token=secret",
    ],
)
def test_what_may_be_a_password_is_never_shown(address: str) -> None:
    with pytest.raises(InputError, match="leave out") as failure:
        connect(address)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8888?",
        "http://localhost:8888#",
        "http://localhost:0",
        "http://localhost:65536",
        "http://[::1",
        "http://local host",
        "http://localhost/\u202epath",
        "//localhost:8888",
        "http:localhost",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(InputError, match="expected a URL such as http://localhost:8888"):
        check_address(address)


def test_commands_that_are_printed_are_quoted(kfp: KfpApiServer) -> None:
    assert connect("http://h/$(date);x").command == "kfp --endpoint 'http://h/$(date);x'"


def test_an_experiment_in_the_archive_gets_no_schedule(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    list(publish(connect(kfp.address), packages[0], Order(schedule=NIGHTLY)))
    (experiment,) = kfp.experiments.values()
    experiment["storage_state"] = "ARCHIVED"
    with pytest.raises(
        InputError, match="is in the archive, which hides its runs; restore it: kfp"
    ):
        list(publish(connect(kfp.address), packages[0], Order(run_name="first")))
    assert kfp.runs == {}


def test_a_pipeline_of_another_namespace_is_left_alone(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    list(publish(connect(kfp.address), packages[0], Order()))
    (theirs,) = kfp.pipelines.values()
    theirs["namespace"] = "theirs"
    # The server may list it and refuse the name, or keep both apart.
    with pytest.raises(InputError, match="The name emotion-ai already exist"):
        list(publish(connect(kfp.address), packages[1], Order(namespace="mine")))
    assert len(kfp.versions) == 1
    theirs["namespace"] = "mine"
    list(publish(connect(kfp.address), packages[1], Order(namespace="mine")))
    assert len(kfp.versions) == 2


def test_names_in_other_scripts(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    order = Order(run_name="Nächtlich ✓ 夜", parameters={"force_accept": "glücklich"})
    lines = list(publish(connect(kfp.address), packages[0], order))
    (run,) = kfp.runs.values()
    assert run["display_name"] == order.run_name
    assert run["runtime_config"]["parameters"] == {"force_accept": "glücklich"}
    assert f"run {order.run_name} ({run['run_id']}): started" in lines


def test_a_schedule_of_a_hostile_name_is_shown_in_one_line(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    list(publish(connect(kfp.address), packages[0], Order(schedule=NIGHTLY)))
    (ours,) = kfp.schedules.values()
    kfp.schedules["evil"] = ours | {
        "recurring_run_id": "evil",
        "display_name": "\x1b[2Jclear\nrm -rf",
    }
    lines = list(publish(connect(kfp.address), packages[0], Order(schedule=NIGHTLY)))
    assert "schedule ?[2Jclear rm -rf (evil): not made by `emotion-ai publish`; it stays" in lines
    kfp.schedules["evil"]["recurring_run_id"] = "$(rm -rf ~)"
    with pytest.raises(Exception, match="an answer without recurring_run_id"):
        list(publish(connect(kfp.address), packages[0], Order(schedule=NIGHTLY)))


def test_control_c_ends_it_in_one_line_while_the_server_is_silent(environment: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = ["publish", "--kfp", address, "--environment", environment]
        process = subprocess.Popen(
            [sys.executable, "-m", "emotion_ai.pipeline.cli", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "emotion-ai: interrupted\n")
