"""The READMEs' kfp commands, run by kfp's command line with a client that notes what it sends."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kfp.cli import cli

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.settings import RunSettings, load_environment, load_run_settings

from support.kfp_server_rule import refusals

ROOT = Path(__file__).parents[2]
SUBMITTING = ("run", "recurring-run")
TRAINING, ROLLOUT = "emotion-ai.yaml", "emotion-ai-rollout.yaml"


class NotedClient:
    """Notes what the command line asks for; the answers are what its printers need."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def create_experiment(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(experiment_id=f"id of {name}")

    def __getattr__(self, method: str) -> Any:
        def call(*positional: Any, **named: Any) -> None:
            self.sent |= {"method": method, "positional": positional, **named}
            raise SystemExit(0)

        return call


def kfp_commands() -> list[list[str]]:
    text = "".join((ROOT / name).read_text() for name in ("README.md", "pipeline/README.md"))
    lines = re.findall(r"^kfp --endpoint .*$", text.replace("\\\n", " "), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def send(words: list[str]) -> dict[str, Any]:
    """Run a command; its group would connect to the server, so the verb is called by itself."""
    group, verb, *arguments = words[words.index("--endpoint") + 2 :]
    client = NotedClient()
    command = cli.cli.get_command(None, group).commands[verb]
    with pytest.raises(SystemExit) as end:
        command.main(arguments, obj={"client": client, "output": "table"})
    assert end.value.code == 0
    return client.sent


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The compiled pipelines, by the name of the file that the READMEs give them."""
    folder = tmp_path_factory.mktemp("compiled")
    settings = load_environment("cluster").compile, load_run_settings("cluster")
    compile_pipeline(*settings, folder / TRAINING)
    compile_pipeline(*settings, folder / ROLLOUT, "rollout")
    return {path.name: next(yaml.safe_load_all(path.read_text())) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def spec(specs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return specs[TRAINING]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path(TRAINING).touch()
    Path(ROLLOUT).touch()
    return tmp_path


def test_readmes_have_kfp_commands_for_upload_run_and_schedule() -> None:
    groups = [words[3] for words in kfp_commands()]
    assert set(groups) == {"pipeline", *SUBMITTING}
    assert groups.count("run") >= 2, "one of them shows parameters of every type"


@pytest.mark.parametrize("words", kfp_commands(), ids=lambda words: "-".join(words[3:5]))
def test_readme_kfp_commands_are_accepted_by_the_server(
    words: list[str], folder: Path, specs: dict[str, dict[str, Any]]
) -> None:
    sent = send(words)
    if words[3] not in SUBMITTING:
        assert TRAINING in sent["positional"]
        return
    file = sent.get("pipeline_package_path") or TRAINING
    assert refusals(sent["params"], specs[file]) == []
    if file == TRAINING:
        assert {"keypoints", "expression"} <= set(sent["params"])
    if words[3] == "recurring-run":
        assert len(sent["cron_expression"].split()) == 6
        assert sent["enabled"] is True


def shown_parameters(file: str) -> list[dict[str, Any]]:
    """What the READMEs' runs of a pipeline send."""
    runs = [send(words) for words in kfp_commands() if words[3] == "run"]
    return [sent["params"] for sent in runs if sent["pipeline_package_path"] == file]


def test_readme_shows_a_parameter_of_every_type(folder: Path, spec: dict[str, Any]) -> None:
    declared = spec["root"]["inputDefinitions"]["parameters"]
    shown = shown_parameters(TRAINING)
    types = {declared[name]["parameterType"] for parameters in shown for name in parameters}
    assert types == {definition["parameterType"] for definition in declared.values()}
    (parameters,) = (parameters for parameters in shown if "gate" in parameters)
    assert parameters["run_name"] == "2026"
    # The settings mean what they say.
    RunSettings.model_validate({"gate": parameters["gate"], "teachers": parameters["teachers"]})
    RunSettings.model_validate({"serving": {"rollout": parameters["rollout_settings"]}})


def test_readme_shows_how_to_go_back(folder: Path) -> None:
    (parameters,) = shown_parameters(ROLLOUT)
    assert isinstance(parameters["version"], int)
    assert parameters["reason"]


def test_readme_lists_every_parameter_under_its_type(spec: dict[str, Any]) -> None:
    types = {"text": "STRING", "number": "NUMBER_INTEGER", "list": "LIST", "object": "STRUCT"}
    text = (ROOT / "pipeline/README.md").read_text()
    rows = re.findall(r"^\| (text|number|list|object) \| ([^|]+) \|", text, re.MULTILINE)
    listed = {name: types[kind] for kind, names in rows for name in re.findall(r"`(\w+)`", names)}
    declared = spec["root"]["inputDefinitions"]["parameters"]
    assert listed == {name: value["parameterType"] for name, value in declared.items()}


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("teachers=1", "teachers"),
        ("run_name=2026", "run_name"),
        ("force_accept=true", "force_accept"),
        ("gate=[]", "gate"),
        ("seed=seven", "seed"),
        ("keep=null", "keep"),
        ("gaet={}", "gaet"),
    ],
)
def test_rule_of_the_server_refuses_what_the_real_one_refused(
    given: str, refused: str, folder: Path, spec: dict[str, Any]
) -> None:
    command = "kfp --endpoint http://localhost:8888 run create -e emotion-ai -f emotion-ai.yaml"
    (reason,) = refusals(send([*command.split(), given])["params"], spec)
    assert reason.startswith(f"{refused}: ")
