"""Publishing to Kubeflow Pipelines: versions, schedules and runs, against a stand-in server."""

import re
import shlex
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.publishing import server as server_module
from emotion_ai.pipeline.publishing.order import Order, parse_parameters
from emotion_ai.pipeline.publishing.publish import publish, publish_again
from emotion_ai.pipeline.publishing.server import NameTaken, connect
from emotion_ai.pipeline.publishing.uploads import version_name

from support.command_line import assert_refused, emotion_ai
from support.kfp_api_server import KfpApiServer

ROOT = Path(__file__).parents[2]
KFP = str(Path(sys.executable).with_name("kfp"))
NIGHTLY = "0 0 3 * * *"
CREATE = "POST /apis/v2beta1/recurringruns"
DELETE = "DELETE /apis/v2beta1/recurringruns"


def publish_to(kfp: KfpApiServer, package: Path, **order: Any) -> list[str]:
    return list(publish(connect(kfp.address), package, Order(**order)))


def schedules(kfp: KfpApiServer) -> list[str]:
    """The schedules as versions, in the order in which they were created; others by name."""
    names = [schedule["display_name"] for schedule in kfp.schedules.values()]
    return [name.removeprefix("emotion-ai-schedule-") for name in names]


def changes(kfp: KfpApiServer) -> list[str]:
    """Requests that change something, without the path's start."""
    changing = [line for line in kfp.requests if not line.startswith("GET")]
    return [line.replace("/apis/v2beta1", "") for line in changing]


def run_kfp(command: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    """Run a kfp command as it is printed."""
    words = shlex.split(command)
    assert words[0] == "kfp"
    return subprocess.run(
        [KFP, *words[1:]], input=answer, capture_output=True, text=True, timeout=60
    )


def printed_command(lines: list[str], verb: str) -> str:
    (line,) = (line for line in lines if line.startswith(f"  {verb}: "))
    return line.partition(": ")[2]


def test_a_version_is_named_by_the_content_without_comments(
    packages: tuple[Path, Path], tmp_path: Path
) -> None:
    old, new = packages
    assert re.fullmatch("[0-9a-f]{12}", version_name(old))
    assert version_name(old) != version_name(new)
    text = old.read_text()
    assert text.startswith("# ")
    copy = tmp_path / "copy.yaml"
    copy.write_text("# another comment\n" + re.sub("^#.*\n", "", text, flags=re.MULTILINE))
    assert version_name(copy) == version_name(old)
    copy.write_text(text.replace("retryPolicy", "retryPolicies", 1))
    assert version_name(copy) != version_name(old)


def test_publish_uploads_once(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    old, new = packages
    lines = publish_to(kfp, old)
    assert lines[0].endswith("created")
    assert lines[1].startswith(f"version {version_name(old)} (")
    assert lines[1].endswith("uploaded")
    assert changes(kfp) == ["POST /pipelines", "POST /pipelines/upload_version"]
    kfp.requests.clear()
    (line,) = publish_to(kfp, old)
    assert line.endswith("there already, nothing is uploaded")
    assert changes(kfp) == []
    publish_to(kfp, new)
    assert changes(kfp) == ["POST /pipelines/upload_version"]
    assert [pipeline["name"] for pipeline in kfp.pipelines.values()] == ["emotion-ai"]
    names = [version["name"] for version in kfp.versions.values()]
    assert names == [version_name(old), version_name(new)]


def test_publish_adds_a_version_to_a_pipeline_that_the_kfp_command_created(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    package = packages[0]
    command = f"kfp --endpoint {kfp.address} pipeline create --pipeline-name emotion-ai {package}"
    assert run_kfp(command).returncode == 0
    publish_to(kfp, package)
    assert len(kfp.pipelines) == 1
    assert [v["name"] for v in kfp.versions.values()] == ["emotion-ai", version_name(package)]


def test_the_printed_command_removes_the_version(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    undo = printed_command(publish_to(kfp, packages[0]), "undo")
    assert run_kfp(undo, answer="y\n").returncode == 0
    assert kfp.versions == {}


def test_publish_finds_its_version_and_schedule_on_later_pages(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    (ours,) = kfp.schedules.values()
    for number in range(5):
        other = ours | {"display_name": f"a-{number}", "recurring_run_id": f"other-{number}"}
        kfp.schedules = {f"other-{number}": other, **kfp.schedules}
    kfp.page_size = 2
    publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [f"a-{n}" for n in (4, 3, 2, 1, 0)] + [version_name(new)]


def test_a_schedule_is_enabled_and_fires_for_the_newest_version(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    lines = publish_to(
        kfp, packages[0], schedule=NIGHTLY, parameters={"seed": 7}, service_account="runner"
    )
    (schedule,) = kfp.schedules.values()
    assert schedule["trigger"] == {"cron_schedule": {"cron": NIGHTLY}}
    assert (schedule["mode"], schedule["status"]) == ("ENABLE", "ENABLED")
    assert (schedule["no_catchup"], schedule["max_concurrency"]) == (True, "1")
    assert schedule["service_account"] == "runner"
    (run,) = kfp.fire()
    version = kfp.versions[run["pipeline_version_reference"]["pipeline_version_id"]]
    assert version["name"] == version_name(packages[0])
    assert run["runtime_config"]["parameters"] == {"seed": 7}
    assert run_kfp(printed_command(lines, "stop")).returncode == 0
    assert kfp.fire() == []


def test_the_same_schedule_again_changes_nothing(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    order = {"schedule": NIGHTLY, "parameters": {"seed": 7, "teachers": ["1"]}}
    publish_to(kfp, packages[0], **order)
    kfp.requests.clear()
    lines = publish_to(kfp, packages[0], **order)
    assert "there already" in lines[-1]
    assert changes(kfp) == []


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "0 30 4 * * *"},
        {"parameters": {"seed": 8}},
        {"service_account": "another"},
    ],
)
def test_another_schedule_of_the_same_version_replaces_it(
    kfp: KfpApiServer, packages: tuple[Path, Path], change: dict[str, Any]
) -> None:
    order = {"schedule": NIGHTLY, "parameters": {"seed": 7}, "service_account": "runner"}
    publish_to(kfp, packages[0], **order)
    (before,) = kfp.schedules
    publish_to(kfp, packages[0], **(order | change))
    (after,) = kfp.schedules
    assert before != after


def test_a_schedule_that_a_person_disabled_is_replaced(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    stop = printed_command(publish_to(kfp, packages[0], schedule=NIGHTLY), "stop")
    assert run_kfp(stop).returncode == 0
    publish_to(kfp, packages[0], schedule=NIGHTLY)
    (schedule,) = kfp.schedules.values()
    assert schedule["status"] == "ENABLED"


def test_a_new_version_replaces_our_schedule_alone_and_its_runs_go_on(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    (ours,) = kfp.schedules.values()
    reference = {"pipeline_version_reference": {"pipeline_id": "another"}}
    kfp.schedules["person"] = ours | {"display_name": "nightly", "recurring_run_id": "person"}
    kfp.schedules["namesake"] = ours | reference | {"recurring_run_id": "namesake"}
    running = [run for run in kfp.fire() if run["recurring_run_id"] == ours["recurring_run_id"]]
    kfp.requests.clear()
    lines = publish_to(kfp, new, schedule=NIGHTLY)
    # The new one first: at no moment is there none.
    replaced = [line for line in changes(kfp) if "recurringruns" in line]
    assert replaced == ["POST /recurringruns", f"DELETE /recurringruns/{ours['recurring_run_id']}"]
    assert ours["recurring_run_id"] not in kfp.schedules
    assert {"person", "namesake"} < kfp.schedules.keys()
    assert [run["state"] for run in running] == ["RUNNING"]
    kept = [line for line in lines if line.endswith("not made by `emotion-ai publish`; it stays")]
    assert len(kept) == 2


def test_the_printed_command_brings_the_replaced_schedule_back(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    parameters = {"seed": 7, "run_name": "2026", "gate": {"keypoints": {"rmse_px": 2}}}
    publish_to(kfp, old, schedule=NIGHTLY, parameters=parameters)
    (before,) = kfp.schedules.values()
    back = printed_command(publish_to(kfp, new, schedule="0 0 4 * * *"), "back")
    words = shlex.split(back)
    assert words.pop(0) == "emotion-ai"
    result = emotion_ai(*words)
    assert result.returncode == 0, result.stderr
    (after,) = kfp.schedules.values()
    changing = {"recurring_run_id", "description"}
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }


def test_a_refused_schedule_leaves_the_old_one(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.fail(CREATE, 400, "Schedule is not supported")
    with pytest.raises(InputError, match="Schedule is not supported") as failure:
        publish_to(kfp, new, schedule=NIGHTLY)
    message = str(failure.value)
    name = f"schedule emotion-ai-schedule-{version_name(old)}"
    assert f"no schedule was created; {name}" in message
    assert message.endswith("stays as it is")
    assert schedules(kfp) == [version_name(old)]
    assert len(kfp.fire()) == 1


def test_a_server_that_fails_at_the_schedule_leaves_the_old_one(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.fail(CREATE, 503)
    with pytest.raises(Unavailable, match="whether the schedule was created is not known; sched"):
        publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(old)]
    kfp.fail(CREATE, 0)
    publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(new)]


def test_a_lost_answer_makes_no_second_schedule(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.lose_answer(CREATE)
    with pytest.raises(Unavailable, match="run this command again"):
        publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(old), version_name(new)]
    kfp.fail(CREATE, 0)
    lines = publish_to(kfp, new, schedule=NIGHTLY)
    assert any("there already" in line and "schedule" in line for line in lines)
    assert schedules(kfp) == [version_name(new)]


def test_a_schedule_that_cannot_be_removed_is_told_and_removed_by_the_next_call(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    (before,) = kfp.schedules
    kfp.fail(DELETE, 500)
    with pytest.raises(Unavailable) as failure:
        publish_to(kfp, new, schedule=NIGHTLY)
    assert "was not removed: now both start runs; run this command again" in str(failure.value)
    assert str(failure.value).endswith(f"recurring-run delete {before}")
    assert schedules(kfp) == [version_name(old), version_name(new)]
    kfp.fail(DELETE, 0)
    publish_to(kfp, new, schedule=NIGHTLY)
    assert schedules(kfp) == [version_name(new)]


def test_a_schedule_that_somebody_else_removed_is_no_failure(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    kfp.fail(DELETE, 404, "Job not found")
    lines = publish_to(kfp, new, schedule=NIGHTLY)
    assert any("somebody else removed it meanwhile" in line for line in lines)


def test_a_failed_schedule_starts_no_run(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    order = {"schedule": NIGHTLY, "run_name": "first"}
    kfp.fail(CREATE, 500)
    with pytest.raises(Unavailable, match="run this command again"):
        publish_to(kfp, packages[0], **order)
    assert kfp.runs == {}
    kfp.fail(CREATE, 0)
    publish_to(kfp, packages[0], **order)
    assert len(kfp.runs) == len(kfp.schedules) == 1


def test_a_server_that_does_not_enable_the_schedule_is_told(
    kfp: KfpApiServer, packages: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = packages
    publish_to(kfp, old, schedule=NIGHTLY)
    create = kfp._create_schedule

    def create_disabled(query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        return create(query, body | {"mode": "DISABLE"})

    monkeypatch.setattr(kfp, "_create_schedule", create_disabled)
    with pytest.raises(Unavailable, match=r"is not enabled; schedule emotion-ai-.* stays as it is"):
        publish_to(kfp, new, schedule=NIGHTLY)
    assert [row["status"] for row in kfp.schedules.values()] == ["ENABLED", "DISABLED"]


def test_a_run_starts_at_once(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    lines = publish_to(
        kfp, packages[0], run_name="first", parameters={"seed": 3}, service_account="runner"
    )
    (run,) = kfp.runs.values()
    assert (run["display_name"], run["service_account"]) == ("first", "runner")
    assert run["runtime_config"]["parameters"] == {"seed": 3}
    assert f"run first ({run['run_id']}): started" in lines
    assert kfp.schedules == {}


def test_an_unknown_version_is_no_version_to_go_back_to(kfp: KfpApiServer) -> None:
    with pytest.raises(InputError, match="pipeline emotion-ai has no version 0123456789ab"):
        list(publish_again(connect(kfp.address), "0123456789ab", Order(schedule=NIGHTLY)))
    assert changes(kfp) == []


@pytest.mark.parametrize(
    ("request_line", "table"),
    [
        ("POST /apis/v2beta1/pipelines", "pipelines"),
        ("POST /apis/v2beta1/pipelines/upl", "versions"),
    ],
)
def test_a_name_that_another_publisher_took_meanwhile_is_used(
    kfp: KfpApiServer,
    packages: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    request_line: str,
    table: str,
) -> None:
    """The other's object appears between our look and our request, which gets 409."""
    publish_to(kfp, packages[0])
    rows = getattr(kfp, table)
    answer = kfp.answer
    setattr(kfp, table, {})

    def answer_late(method: str, url: str, *rest: Any) -> dict[str, Any]:
        if f"{method} {url}".startswith(request_line):
            setattr(kfp, table, rows)
        return answer(method, url, *rest)

    monkeypatch.setattr(kfp, "answer", answer_late)
    kfp.requests.clear()
    publish_to(kfp, packages[0])
    assert request_line in " ".join(kfp.requests)
    assert (len(kfp.pipelines), len(kfp.versions)) == (1, 1)


def test_a_name_that_is_taken_and_not_listed_is_told(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    kfp.fail("POST /apis/v2beta1/pipelines", 409, "The name emotion-ai already exist")
    with pytest.raises(NameTaken, match="The name emotion-ai already exist"):
        publish_to(kfp, packages[0])


def test_a_token_is_sent_and_never_shown(
    kfp: KfpApiServer,
    packages: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kfp.token = "a-secret-token"  # noqa: S105
    with pytest.raises(Unavailable, match=r"gives no access \(401\): Unauthenticated; name a"):
        publish_to(kfp, packages[0])
    token = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    with pytest.raises(InputError, match=r"no token: .*No such file.*; name a file that can be"):
        publish_to(kfp, packages[0])
    token.write_text("a-secret-token\n")
    kfp.fail(CREATE, 500)
    with pytest.raises(Unavailable) as failure:
        publish_to(kfp, packages[0], schedule=NIGHTLY)
    assert "secret" not in str(failure.value)
    assert len(kfp.versions) == 1


@pytest.mark.parametrize("content", ["", "secret\nsecret", "secret secret", "secret\u20ac"])
def test_a_file_that_is_no_token_is_a_mistake_and_never_shown(
    content: str, kfp: KfpApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    with pytest.raises(InputError, match=r"token: expected one token") as failure:
        connect(kfp.address)
    assert "secret" not in str(failure.value)
    assert kfp.requests == []


def test_a_token_in_the_address_is_not_shown() -> None:
    with pytest.raises(InputError, match="leave out what follows") as failure:
        connect("http://localhost:8888/?token=secret")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "is missing (--kfp); expected a URL such as http://localhost:8888"),
        ("localhost:8888", "'localhost:8888': expected a URL"),
        ("ftp://localhost", "expected a URL"),
        ("http://", "expected a URL"),
        ("http://localhost:port", "expected a URL"),
        ("http://localhost:8888?x=1", "expected a URL"),
        ("http://me:secret@localhost", "holds a user or a password"),
    ],
)
def test_an_address_that_is_none_is_a_mistake(address: str, words: str) -> None:
    with pytest.raises(InputError) as failure:
        connect(address)
    assert words in str(failure.value)
    assert "secret" not in str(failure.value)


def test_parameters_are_read_as_the_kfp_command_reads_them() -> None:
    given = ["seed=7", "name=a=b", 'gate={"x": 1}', 'run_name="2026"', "empty="]
    expected = {"seed": 7, "name": "a=b", "gate": {"x": 1}, "run_name": "2026", "empty": ""}
    assert parse_parameters(given, are_used=True) == expected
    for arguments in (["seed"], ["=7"], ["a b=1"], ["seed=1", "seed=2"]):
        with pytest.raises(InputError, match=r"expected NAME=VALUE|given twice"):
            parse_parameters(arguments, are_used=True)
    with pytest.raises(InputError, match="name a --schedule or a --run"):
        parse_parameters(["seed=7"], are_used=False)


def test_nobody_at_the_address_is_one_line(environment: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    result = emotion_ai("publish", "--kfp", address, "--environment", environment)
    assert_refused(result, 1, f"{address}: Kubeflow Pipelines does not answer: ")


def test_a_server_that_never_answers_is_told(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[Path, Path]
) -> None:
    monkeypatch.setattr(server_module, "_TIMEOUT_SECONDS", (0.5, 0.5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match=r"does not answer: .*timed out"):
            list(publish(connect(address), packages[0], Order()))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>a page</html>", "an answer without pipeline_id"),
        (200, b"\xff\xfe", "does not answer as Kubeflow Pipelines does"),
        (200, b"null", "does not answer as Kubeflow Pipelines does"),
        (200, b"[]", "does not answer as Kubeflow Pipelines does"),
        (302, b"", r"a redirection \(302\), such as to a login"),
        (404, b"<html>no</html>", r"404 for what is below /apis/v2beta1 \(<html>no</html>\)"),
        (404, b'{"code": 5, "message": "Not Found"}', r"404 .* expected the address of its API"),
        (404, b'{"detail": "no"}', "404 for what is below /apis/v2beta1"),
        (404, b"", "404 for what is below /apis/v2beta1"),
        (500, b"[" * 100_000, r"failed \(500\): \[\[\["),
        (200, b"[" * 100_000, "does not answer as Kubeflow Pipelines does"),
        (500, b'{"message": "\\u001b[2Jgone"}', r"failed \(500\): \?\[2Jgone"),
        (502, b'{"error": "no upstream"}', r"failed \(502\): no upstream"),
        (403, b'{"message": "no\\nright"}', r"no access \(403\): no right"),
    ],
)
def test_another_program_at_the_address_is_told(
    status: int, body: bytes, words: str, packages: tuple[Path, Path]
) -> None:
    with other_program(status, body) as address, pytest.raises(Unavailable, match=words) as failure:
        list(publish(connect(address), packages[0], Order()))
    assert "\n" not in str(failure.value)


class other_program:
    """An HTTP server that answers everything alike."""

    def __init__(self, status: int, body: bytes) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
            handler.send_response_only(status)
            handler.send_header("Location", "http://127.0.0.1:9/login")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        methods = {"do_GET": answer, "do_POST": answer, "log_message": lambda *_: None}
        self._server = HTTPServer(("127.0.0.1", 0), type("H", (BaseHTTPRequestHandler,), methods))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


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
