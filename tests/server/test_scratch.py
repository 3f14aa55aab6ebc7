"""Temporary files of a server that was killed go when the next one starts."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emotion_ai.server.scratch import scratch_folder

_PROGRAM = """
import tempfile, time
from emotion_ai.server.scratch import scratch_folder
with scratch_folder():
    open(tempfile.mkstemp()[1], "w").write("face")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_folders_of_killed_servers_are_removed_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "emotion-ai-server-of-nobody").mkdir()

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
        (abandoned,) = folders() - {"emotion-ai-server-of-nobody"}
        with started() as living:
            assert abandoned in folders()
            killed.kill()
            killed.wait()
            (kept,) = folders() - {"emotion-ai-server-of-nobody", abandoned}
            with scratch_folder() as folder:
                assert folders() == {"emotion-ai-server-of-nobody", kept, folder.name}
                assert Path(tempfile.mkdtemp()).parent == folder
                assert folder.stat().st_mode & 0o777 == 0o700
            assert folders() == {"emotion-ai-server-of-nobody", kept}
            assert tempfile.gettempdir() == str(tmp_path)
            living.kill()
