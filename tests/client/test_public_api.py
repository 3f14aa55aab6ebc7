"""The public names of the package, and what importing them costs."""

import subprocess
import sys

import pytest

import emotion_ai
from emotion_ai import EmotionAIError, InputError, Unavailable, VerificationError
from emotion_ai.storage import NotFound

# CPU seconds.
MAX_IMPORT_S = 0.3


def run_python(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_package_exports_every_public_name() -> None:
    assert sorted(emotion_ai.__all__) == list(emotion_ai.__all__)
    assert set(emotion_ai.__all__) == set(emotion_ai._MODULES)
    assert set(emotion_ai.__all__) <= set(dir(emotion_ai))
    for name in emotion_ai.__all__:
        assert getattr(emotion_ai, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        emotion_ai.nothing  # noqa: B018


def test_package_import_is_lazy() -> None:
    program = (
        "import sys\n"
        "import emotion_ai\n"
        "print(*(name for name in sys.modules if name.startswith('emotion_ai')))\n"
        "print('numpy' in sys.modules, 'grpc' in sys.modules)\n"
    )
    assert run_python(program) == "emotion_ai\nFalse False\n"


def test_client_import_is_light() -> None:
    program = (
        "import sys\n"
        "from emotion_ai import Client\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'kfp', 'rich', 'typer', 'pydantic'}\n"
        "print(*(heavy & set(sys.modules)))\n"
    )
    assert run_python(program) == "\n"


def test_exceptions_have_one_base_and_exit_codes() -> None:
    errors = (InputError, Unavailable, VerificationError)
    assert [error.__base__ for error in errors] == [EmotionAIError] * 3
    assert [error.exit_code for error in errors] == [2, 1, 1]
    assert issubclass(NotFound, InputError)
