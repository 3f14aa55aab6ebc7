"""Publishing to Kubeflow Pipelines: versions, names and runs, against a stand-in server."""

import re
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.publish import publish, publish_again
from emotion_ai.pipeline.publishing.server import NameTaken, connect
from emotion_ai.pipeline.publishing.uploads import version_name

from support.kfp_api_server import KfpApiServer
from support.publishing import NIGHTLY, changes, printed_command, publish_to, run_kfp, schedules


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


def test_a_pipeline_of_another_namespace_is_left_alone(
    kfp: KfpApiServer, packages: tuple[Path, Path]
) -> None:
    publish_to(kfp, packages[0])
    (theirs,) = kfp.pipelines.values()
    theirs["namespace"] = "theirs"
    # The server may list it and refuse the name, or keep both apart.
    with pytest.raises(InputError, match="The name emotion-ai already exist"):
        publish_to(kfp, packages[1], namespace="mine")
    assert len(kfp.versions) == 1
    theirs["namespace"] = "mine"
    publish_to(kfp, packages[1], namespace="mine")
    assert len(kfp.versions) == 2


def test_names_in_other_scripts(kfp: KfpApiServer, packages: tuple[Path, Path]) -> None:
    order = Order(run_name="Nächtlich ✓ 夜", parameters={"force_accept": "glücklich"})
    lines = list(publish(connect(kfp.address), packages[0], order))
    (run,) = kfp.runs.values()
    assert run["display_name"] == order.run_name
    assert run["runtime_config"]["parameters"] == {"force_accept": "glücklich"}
    assert f"run {order.run_name} ({run['run_id']}): started" in lines
