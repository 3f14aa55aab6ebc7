"""Nothing that others wrote commands the terminal: names, headers, registries, servers."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from emotion_ai.errors import InputError
from emotion_ai.pipeline.local.progress import RunMonitor
from emotion_ai.pipeline.settings import load_run_settings
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import INFO_PATH
from emotion_ai.terminal import clean

from support.fake_prediction_server import fake_prediction_server
from support.minimal_release import write_minimal_release

# Sets the title, clears the screen, hides what follows, turns its direction; as C1 codes too.
EVIL = "a\x1b]0;owned\x07\x1b[2J\x1b[8mb\x9b31m\u202ec\r\x7f"
FORBIDDEN = {
    character for character in EVIL if not (character.isascii() and character.isprintable())
}
SHOWN = "a\ufffd]0;owned\ufffd\ufffd[2J\ufffd[8mb\ufffd31m\ufffdc\ufffd\ufffd"


def run(
    *arguments: str | bytes, cwd: Path, variables: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[bytes]:
    """Run the command `emotion-ai`, whose output need be in no encoding."""
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, timeout=120
    )


def printed(result: subprocess.CompletedProcess[bytes]) -> str:
    text = (result.stdout + result.stderr).decode()
    assert "Traceback" not in text
    assert FORBIDDEN.isdisjoint(text), ascii(text)
    return text


def save_picture(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((100, 100), 40, np.uint8)).save(path, format="png")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (EVIL, SHOWN),
        ("\tname\nsecond line", "\tname\nsecond line"),
        ("of Windows\r\n", "of Windows\n"),
        ("smörgås \N{GRINNING FACE}", "smörgås \N{GRINNING FACE}"),
        (os.fsdecode(b"not UTF-8: \xff"), "not UTF-8: \ufffd"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("format", ["table", "csv", "jsonl"])
def test_predict_of_names_with_escape_sequences(tmp_path: Path, format: str) -> None:
    save_picture(tmp_path / "photos" / f"{EVIL}.png")
    (tmp_path / "photos" / f"{EVIL}b.png").write_bytes(b"no picture")
    with fake_prediction_server() as server:
        options = ("--faces", "whole", "--format", format, "--server", server.address)
        result = run("predict", "photos", *options, cwd=tmp_path)
    assert result.returncode == 2
    text = printed(result)
    if format == "jsonl":
        records = [json.loads(line) for line in result.stdout.decode().splitlines()]
        assert [record["file"] for record in records] == [
            f"photos/{EVIL}.png",
            f"photos/{EVIL}b.png",
        ]
    else:
        assert "owned" in text
        assert "\ufffd[2J" in text


def test_table_on_a_terminal(tmp_path: Path) -> None:
    """There Rich writes sequences of its own: none of the name's is among them."""
    save_picture(tmp_path / f"{EVIL}.png")
    main, terminal = pty.openpty()
    with fake_prediction_server() as server:
        command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "predict", f"{EVIL}.png"]
        command += ["--faces", "whole", "--server", server.address]
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"}
        code = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=terminal, stderr=terminal, timeout=120
        ).returncode
    os.close(terminal)
    with os.fdopen(main, "rb", buffering=0) as reader:
        text = reader.read(1 << 16).decode()
    assert code == 0
    assert "\x1b" in text
    assert "]0;owned" in text
    for sequence in ("\x1b]", "\x1b[2J", "\x1b[8m", "\x07", "\x9b", "\u202e"):
        assert sequence not in text, ascii(text)


def test_describe_of_a_foreign_registry(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    files, draft = write_minimal_release(tmp_path / "export", "a")
    publish(str(registry), files, draft)
    write_champion(str(registry), 1)
    path = registry / "1" / INFO_PATH
    info = json.loads(path.read_text())
    info["run_id"] = f"{EVIL}\nchampion     99 [red]"
    info["data"]["keypoints"]["source"] = EVIL
    info["gate"]["forced"] = EVIL
    path.write_text(json.dumps(info))
    for version in ((), ("1",)):
        text = printed(run("describe", *version, "--registry", str(registry), cwd=tmp_path))
        assert "]0;owned" in text
        assert "\nchampion" not in text
        assert "[red]" in text


def test_refusal_of_a_foreign_server(tmp_path: Path) -> None:
    def refuse(number: int, context: Any) -> None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no {EVIL}")

    save_picture(tmp_path / "a.png")
    with fake_prediction_server(refuse) as server:
        result = run(
            "predict", "a.png", "--faces", "whole", "--server", server.address, cwd=tmp_path
        )
    assert result.returncode != 0
    assert "no a\ufffd]0;owned" in printed(result)


def test_header_of_a_data_file(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text(f"{EVIL}red,pixels,Usage\n1,2,3\n")
    program = (
        "from emotion_ai.errors import exit_on_failure\n"
        "from emotion_ai.sources.csv_table import open_table\n"
        "with exit_on_failure():\n"
        "    open_table('k.csv', 'keypoints')\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert result.returncode == 2
    assert "]0;owned" in printed(result)


def test_log_of_a_run_has_no_escape_sequences() -> None:
    """A step's program may print what it likes."""
    log = io.StringIO()
    monitor = RunMonitor({}, log, lambda step: None)
    monitor.on_log("Executing task 'ingest'")
    monitor.on_output(f"emotion-ai: error (exit code 2): {EVIL}")
    monitor.on_log(EVIL)
    assert FORBIDDEN.isdisjoint(log.getvalue() + str(monitor.failure) + monitor.steps[0].lines[0])


def test_arguments_that_are_no_options(tmp_path: Path) -> None:
    """The shell puts a file's name there for `*`; Typer escapes it."""
    name = EVIL.replace("\u202e", "")
    for arguments in (("predict", f"--{name}"), (name,), ("describe", "1", name)):
        result = run(*arguments, cwd=tmp_path)
        assert result.returncode == 2
        printed(result)


def test_log_of_the_server_has_a_line_for_a_message() -> None:
    program = (
        "import logging\n"
        "from emotion_ai.errors import exit_on_failure\n"
        "from emotion_ai.server.server import _configure_logging\n"
        "with exit_on_failure():\n"
        "    _configure_logging()\n"
        f"    logging.getLogger('x').info('%s', {'name' + chr(10) + EVIL!r})\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert result.returncode == 0
    (line,) = printed(result).splitlines()
    assert line.endswith(
        "INFO name a\ufffd]0;owned\ufffd\ufffd[2J\ufffd[8mb\ufffd31m\ufffdc \ufffd"
    )


@pytest.mark.parametrize(
    ("format", "variables"),
    [
        ("table", {"PYTHONIOENCODING": "ascii"}),
        ("csv", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        ("jsonl", {"PYTHONIOENCODING": "ascii"}),
    ],
    ids=["table", "csv", "jsonl"],
)
def test_output_in_ascii(tmp_path: Path, format: str, variables: dict[str, str]) -> None:
    name = "smörgås \N{GRINNING FACE}.png"
    save_picture(tmp_path / name)
    with fake_prediction_server() as server:
        options = ("--faces", "whole", "--format", format, "--server", server.address)
        arguments = ("predict", os.fsencode(name), *options)
        result = run(*arguments, cwd=tmp_path, variables=variables)
    assert result.returncode == 0, result.stderr
    assert b"happy" in result.stdout
    if format == "jsonl":
        assert json.loads(result.stdout)["file"] == name
    else:
        assert rb"sm\u00f6rg\u00e5s" in result.stdout


def test_help_in_ascii(tmp_path: Path) -> None:
    for command in ("--help", "predict", "run"):
        arguments = (command,) if command == "--help" else (command, "--help")
        result = run(*arguments, cwd=tmp_path, variables={"PYTHONIOENCODING": "ascii"})
        assert result.returncode == 0, result.stderr
        assert result.stdout.isascii()


def test_tilde_after_an_equals_sign_is_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / "home" / "models").mkdir(parents=True)
    home = {"HOME": str(tmp_path / "home")}
    result = run("describe", "--registry=~/models", cwd=tmp_path, variables=home)
    assert result.returncode == 0
    assert f"Registry  {tmp_path}/home/models".encode() in result.stdout.replace(b"\n", b"")
    run("compile", "--output=~/compiled.yaml", cwd=tmp_path, variables=home)
    assert (tmp_path / "home" / "compiled.yaml").is_file()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("setting", ["keypoints", "expression", "registry", "force_accept"])
@pytest.mark.parametrize("value", ["a\x1b[31m", os.fsdecode(b"\xff")], ids=["control", "bytes"])
def test_settings_of_a_run_are_written_to_files_of_text(setting: str, value: str) -> None:
    refusal = f"setting run.{setting}.*in UTF-8, without control characters"
    with pytest.raises(InputError, match=refusal):
        load_run_settings("local", "quick", {setting: value})
