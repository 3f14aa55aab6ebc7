"""How a step's failure ends its log, and its container's termination message."""

import subprocess
import sys
from pathlib import Path

import pytest

from emotion_ai import errors
from emotion_ai.errors import InputError, Unavailable, exit_on_failure


@pytest.fixture
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container of Kubernetes, as far as a step can tell."""
    path = tmp_path / "termination-log"
    path.touch()
    monkeypatch.setattr(errors, "TERMINATION_LOG", path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    return path


def fail_with(failure: BaseException) -> None:
    with exit_on_failure():
        raise failure


def test_failure_is_the_termination_message(termination_log: Path) -> None:
    with pytest.raises(SystemExit) as end:
        fail_with(InputError("faces.csv: column pixels\n is missing"))
    assert end.value.code == 2
    assert termination_log.read_text() == "faces.csv: column pixels is missing"


def test_defect_is_the_termination_message_and_keeps_its_traceback(termination_log: Path) -> None:
    with pytest.raises(KeyError):
        fail_with(KeyError("faces"))
    assert termination_log.read_text() == "KeyError: 'faces'"


def test_termination_message_is_cut_between_characters(termination_log: Path) -> None:
    with pytest.raises(SystemExit):
        fail_with(Unavailable("x" + "é" * 4096))
    assert termination_log.read_bytes() == ("x" + "é" * 2047).encode()


def test_success_writes_no_termination_message(termination_log: Path) -> None:
    with exit_on_failure():
        pass
    assert termination_log.read_bytes() == b""


def test_file_of_that_name_is_left_alone_outside_of_kubernetes(
    termination_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(SystemExit):
        fail_with(Unavailable("no answer"))
    assert termination_log.read_bytes() == b""


def test_container_without_the_file_fails_with_its_reason_all_the_same(
    termination_log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    termination_log.unlink()
    with pytest.raises(SystemExit):
        fail_with(Unavailable("no answer"))
    assert not termination_log.exists()
    assert capsys.readouterr().err == "emotion-ai: error (exit code 1): no answer\n"


def test_reason_is_the_last_line_though_output_was_buffered() -> None:
    code = (
        "from emotion_ai.errors import Unavailable, exit_on_failure\n"
        "with exit_on_failure():\n"
        "    print('epoch 1')\n"
        "    raise Unavailable('no answer')\n"
    )
    command = [sys.executable, "-c", code]
    log = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert log.stdout.splitlines() == ["epoch 1", "emotion-ai: error (exit code 1): no answer"]
