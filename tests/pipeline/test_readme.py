"""The README's kfp commands, parsed by kfp's own command line."""

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
MODULES = {"pipeline": "pipeline", "run": "run", "recurring-run": "recurring_run"}


def kfp_commands() -> list[list[str]]:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^kfp --endpoint .*$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_readme_has_kfp_commands_for_upload_run_and_schedule() -> None:
    assert [words[3] for words in kfp_commands()] == ["pipeline", "run", "recurring-run"]


@pytest.mark.parametrize("words", kfp_commands(), ids=lambda words: words[3])
def test_readme_kfp_commands_are_valid(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("emotion-ai.yaml").touch()
    group, verb, arguments = words[3], words[4], words[5:]
    module = importlib.import_module(f"kfp.cli.{MODULES[group]}")
    # The group's parser connects to a server; the verb's does not.
    command = getattr(module, verb)
    assert isinstance(command, click.Command)
    parameters = command.make_context(verb, list(arguments)).params
    if group == "pipeline":
        assert parameters["package_file"] == "emotion-ai.yaml"
        return
    pairs = dict(argument.split("=", 1) for argument in parameters["args"])
    assert set(pairs) == {"keypoints", "expression"}
    if group == "recurring-run":
        assert len(parameters["cron_expression"].split()) == 6
