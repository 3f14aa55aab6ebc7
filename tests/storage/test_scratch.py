"""Temporary files of a process that was killed go when the next one starts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emotion_ai.storage.scratch import scratch_folder

_PROGRAM = """
import tempfile, time
from emotion_ai.storage.scratch import scratch_folder
with scratch_folder():
    open(tempfile.mkstemp()[1], "w").write("face")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_folders_of_killed_processes_are_removed_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "emotion-ai-scratch-of-nobody").mkdir()

    def started() -> subprocess.Popen[str]:
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def folders() -> set[str]:
        return {path.name for path in tmp_path.iterdir()}

    with started() as killed:
        (abandoned,) = folders() - {"emotion-ai-scratch-of-nobody"}
        with started() as living:
            assert abandoned in folders()
            killed.kill()
            killed.wait()
            (kept,) = folders() - {"emotion-ai-scratch-of-nobody", abandoned}
            with scratch_folder():
                folder = Path(tempfile.mkdtemp()).parent
                assert folders() == {"emotion-ai-scratch-of-nobody", kept, folder.name}
                assert folder.stat().st_mode & 0o777 == 0o700
            assert folders() == {"emotion-ai-scratch-of-nobody", kept}
            assert tempfile.gettempdir() == str(tmp_path)
            living.kill()


def test_commands_and_steps_leave_nothing_and_remove_what_others_left(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    step = (
        "import tempfile\n"
        "from emotion_ai.errors import exit_on_failure\n"
        "with exit_on_failure():\n"
        "    tempfile.mkstemp()\n"
    )
    for arguments in (
        ["-c", step],
        ["-m", "emotion_ai.pipeline.cli", "describe", "--registry", "/"],
    ):
        left = tmp_path / "emotion-ai-scratch-of-a-killed-process"
        left.mkdir()
        (left / ".lock").touch()
        (left / "face.png").touch()
        command = [sys.executable, *arguments]
        subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        assert not [*tmp_path.iterdir()]


def test_no_temporary_folder_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    with scratch_folder():
        assert tempfile.gettempdir() == "/proc/nowhere"
