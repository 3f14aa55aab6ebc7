"""What a command does whose output has no reader, no room, or no place to go."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from emotion_ai.errors import Unavailable
from emotion_ai.pipeline.cli.standard_output import complete_output
from emotion_ai.terminal import clean_console, clean_streams


class Gone(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_console_without_a_reader_ends_the_command_also_while_a_run_reads_its_steps() -> None:
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as end:
        clean_console(Gone()).print("done")
    assert end.value.code == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_failure(tmp_path: Path, closed: str) -> None:
    Image.new("L", (100, 100), 40).save(tmp_path / "face.png")
    for name, code in (("face.png", 0), ("missing.png", 2)):
        program = f'exec "$@" {closed}'
        command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "predict", name]
        done = subprocess.run(
            ["sh", "-c", program, "sh", *command, "--faces", "whole"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("swallowed", [False, True], ids=["raised", "swallowed"])
@pytest.mark.parametrize("buffering", [1, -1], ids=["lines", "blocks"])
def test_output_that_cannot_be_written_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, swallowed: bool, buffering: int
) -> None:
    # As argparse does with its help.
    swallow = contextlib.suppress(OSError) if swallowed else contextlib.nullcontext()
    with Path("/dev/full").open("w", buffering) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        clean_streams()
        with (
            pytest.raises(Unavailable, match=r"standard output: .*No space left on device"),
            complete_output(),
            swallow,
        ):
            sys.stdout.write("an answer\n")
        monkeypatch.undo()


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "face.png", "--faces", "whole"]])
def test_command_says_that_its_output_was_not_written(tmp_path: Path, arguments: list[str]) -> None:
    Image.new("L", (100, 100), 40).save(tmp_path / "face.png")
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    assert done.returncode == 1
    assert done.stderr == (
        "emotion-ai: standard output: cannot be written: No space left on device; send it "
        "elsewhere\n"
    )
