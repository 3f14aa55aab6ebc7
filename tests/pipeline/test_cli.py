"""The command line, run as processes: output and exit codes."""

import importlib.metadata
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cli.main import app

from support.command_line import assert_refused, emotion_ai

COMMANDS = (
    "run",
    "answers",
    "audit",
    "sample-data",
    "serve",
    "predict",
    "watch",
    "console",
    "rollout",
    "describe",
    "compile",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_exists_for_every_command(command: str) -> None:
    result = emotion_ai(command, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout


def test_version_is_that_of_the_package() -> None:
    result = emotion_ai("--version")
    assert result.returncode == 0
    assert result.stdout == f"emotion-ai {importlib.metadata.version('emotion-ai')}\n"
    assert emotion_ai("serve", "--version").stdout == result.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from emotion_ai.pipeline.cli.main import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "heavy = {'tensorflow', 'keras', 'kfp', 'pandas', 'matplotlib', 'sklearn', 'grpc'}\n"
        "heavy |= {'numpy', 'yaml', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


def test_sample_data_writes_both_files(tmp_path: Path) -> None:
    result = emotion_ai("sample-data", str(tmp_path / "faces"), "--faces", "30", "--seed", "4")
    assert result.returncode == 0
    assert sorted(p.name for p in (tmp_path / "faces").iterdir()) == [
        "expression.csv",
        "keypoints.csv",
    ]


def test_describe_reports_an_empty_registry(tmp_path: Path) -> None:
    result = emotion_ai("describe", "--registry", str(tmp_path))
    assert result.returncode == 0
    assert "none" in result.stdout
    as_json = emotion_ai("describe", "--registry", str(tmp_path), "--json")
    assert json.loads(as_json.stdout)["releases"] == []


def test_an_empty_name_is_not_the_current_folder() -> None:
    result = CliRunner().invoke(app, ["predict", ""])
    assert isinstance(result.exception, InputError)
    assert "found an empty one" in str(result.exception)


def test_compile_writes_a_pipeline(tmp_path: Path) -> None:
    result = emotion_ai("compile", "--environment", "local", "-o", "p.yaml", cwd=tmp_path)
    assert result.returncode == 0
    assert "emotion-ai-training" in (tmp_path / "p.yaml").read_text()


def test_invalid_arguments_exit_with_2(tmp_path: Path) -> None:
    assert_refused(emotion_ai("run", "--preset", "fast", cwd=tmp_path), 2, "'fast'", "quick")
    assert_refused(emotion_ai("run", "--target", "moon", cwd=tmp_path), 2, "target", "'moon'")
    assert_refused(emotion_ai("describe", "3", "--registry", str(tmp_path)), 2, "no release 3")
    assert_refused(emotion_ai("compile", "--environment", "moon"), 2, "'moon'", "cluster")
    assert_refused(emotion_ai("sample-data", str(tmp_path), "--faces", "3"), 2, "3", "20")
    assert not list(tmp_path.glob("*.csv"))
    text = tmp_path / "note.txt"
    text.write_text("no picture")
    assert_refused(emotion_ai("predict", str(text)), 2, "note.txt", "picture")
    assert_refused(emotion_ai("predict", str(tmp_path / "absent.png")), 2, "absent.png")


def test_an_unreachable_server_exits_with_1_and_names_its_address(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    face = tmp_path / "face.png"
    Image.new("L", (96, 96), 128).save(face)
    assert_refused(
        emotion_ai("predict", str(face), "--faces", "whole", "--server", address), 1, address
    )
    assert_refused(
        emotion_ai("describe", "--registry", str(tmp_path), "--server", address), 1, address
    )
