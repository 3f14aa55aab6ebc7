"""The command `emotion-ai publish`, `make publish`, and kfp's commands in the README."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import assert_refused, emotion_ai
from support.kfp_api_server import KfpApiServer
from support.publishing import NIGHTLY, run_kfp

ROOT = Path(__file__).parents[2]


def test_the_command_publishes_and_schedules(kfp: KfpApiServer, tmp_path: Path) -> None:
    environment = tmp_path / "mine.yaml"
    environment.write_text("preset: quick\ncompile: {cluster: {service_account: runner}}\n")
    command = ["publish", "--kfp", f"{kfp.address}/", "--environment", str(environment)]
    result = emotion_ai(*command, "--schedule", NIGHTLY, "seed=7", 'run_name="2026"')
    assert result.returncode == 0
    # It names no sources.
    for line, name in zip(result.stderr.splitlines(), ("keypoints", "expression"), strict=True):
        assert f"{name} is sample://2000?seed=1: it trains on drawn faces" in line
    (schedule,) = kfp.schedules.values()
    assert schedule["service_account"] == "runner"
    assert schedule["runtime_config"]["parameters"] == {"seed": 7, "run_name": "2026"}
    assert "created and enabled" in result.stdout
    refused = emotion_ai(*command, "--schedule", NIGHTLY, "sead=7")
    assert refused.returncode == 2
    assert "parameter 'sead' is unknown; the pipeline knows checkpoints, " in refused.stderr
    assert_refused(emotion_ai("publish", "--kfp", "localhost"), 2, "expected a URL")


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


def test_nobody_at_the_address_is_one_line(environment: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    result = emotion_ai("publish", "--kfp", address, "--environment", environment)
    assert_refused(result, 1, f"{address}: Kubeflow Pipelines does not answer: ")


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


def make_publish(*variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--old-file=.venv/.ready", f"BIN={Path(sys.executable).parent}", "publish"]
    return subprocess.run([*command, *variables], cwd=ROOT, capture_output=True, text=True)


def test_make_publish_needs_an_address() -> None:
    result = make_publish()
    assert result.returncode == 2
    assert "KFP=http://localhost:8888" in result.stdout


def test_make_publish_shows_no_password() -> None:
    result = make_publish("KFP=http://me:secret@localhost:8888")
    assert result.returncode == 2
    assert "holds a user or a password" in result.stderr
    assert "secret" not in result.stdout + result.stderr


def test_make_publish_passes_schedule_environment_and_parameters_on(
    kfp: KfpApiServer, tmp_path: Path
) -> None:
    environment = tmp_path / "mine.yaml"
    environment.write_text("preset: quick\nrun: {seed: 99}\n")
    result = make_publish(
        f"KFP={kfp.address}", f"SCHEDULE={NIGHTLY}", f"ENVIRONMENT={environment}", "ARGS=keep=5"
    )
    assert result.returncode == 0, result.stderr
    (schedule,) = kfp.schedules.values()
    assert schedule["trigger"]["cron_schedule"]["cron"] == NIGHTLY
    assert schedule["runtime_config"]["parameters"] == {"keep": 5}
    (version,) = kfp.versions.values()
    seed = version["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]["seed"]
    assert seed["defaultValue"] == 99


def readme_kfp_commands(address: str, package: Path) -> list[str]:
    text = (ROOT / "pipeline/README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^kfp --endpoint .*$", text, re.MULTILINE)[:3]
    return [
        line.replace("http://localhost:8888", address).replace("emotion-ai.yaml", str(package))
        for line in lines
    ]


def test_the_readmes_commands_start_a_run_and_a_schedule_that_fires(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    create, run, schedule = readme_kfp_commands(kfp.address, packages[0])
    assert run_kfp(create).returncode == 0
    assert run_kfp(run).returncode == 0
    (version,) = kfp.versions.values()
    schedule = schedule.replace("PIPELINE", version["pipeline_id"])
    schedule = schedule.replace("VERSION", version["pipeline_version_id"])
    result = run_kfp(schedule)
    assert result.returncode == 0, result.stderr
    assert [row["status"] for row in kfp.schedules.values()] == ["ENABLED"]
    (fired,) = kfp.fire()
    assert set(fired["runtime_config"]["parameters"]) == {"keypoints", "expression"}
    # What the real one did without the flag, and without a version.
    assert run_kfp(schedule.replace("--enabled ", "")).returncode == 0
    assert [row["status"] for row in kfp.schedules.values()] == ["ENABLED", "DISABLED"]
    without_version = re.sub("--version-id [^ ]+", "", schedule)
    assert "`pipeline_id` and `version_id` are required" in run_kfp(without_version).stderr
