"""Every supported system, processor and Python gets wheels of what it installs, as pinned here.

uv asks the registry of packages for each of them; nothing is installed.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
PYTHONS = ("3.11", "3.12", "3.13")
EVERYTHING, CLIENTS = ("dev",), ("client", "console", "local", "parquet", "video")
SUPPORTED = {
    "x86_64-manylinux_2_28": EVERYTHING,
    "aarch64-manylinux_2_28": EVERYTHING,
    "aarch64-apple-darwin": EVERYTHING,
    "x86_64-pc-windows-msvc": CLIENTS,
}
# Macs with Intel's processors: the README says that they are not.
UNSUPPORTED = "x86_64-apple-darwin"
CASES = [(platform, python) for platform in SUPPORTED for python in PYTHONS]
# kfp-server-api is Python alone, and published as source: pip builds it anywhere.
SOURCES = "kfp-server-api; sys_platform == 'never'\n"
NO_ANSWER = ("Failed to fetch", "error sending request", "network was disabled")


def resolve(
    platform: str, python: str, extras: tuple[str, ...], overrides: Path
) -> subprocess.CompletedProcess[str]:
    command = [UV, "pip", "compile", "pyproject.toml", "--constraint", "requirements.lock"]
    for extra in extras:
        command += ["--extra", extra]
    command += ["--python-platform", platform, "--python-version", python]
    command += ["--only-binary", ":all:", "--override", overrides, "--no-header", "--no-annotate"]
    # dlib's and TensorFlow's wheels are for macOS 14; no Python is downloaded for it.
    environment = {"MACOSX_DEPLOYMENT_TARGET": "14.0", "UV_PYTHON_DOWNLOADS": "never"}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def resolved(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str], subprocess.CompletedProcess[str]]:
    """What uv found for each platform and Python, all asked at once."""
    overrides = tmp_path_factory.mktemp("resolved") / "overrides.txt"
    overrides.write_text(SOURCES)
    cases = [*CASES, (UNSUPPORTED, "3.11")]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(
            lambda case: resolve(*case, SUPPORTED.get(case[0], ("local",)), overrides), cases
        )
        answers = dict(zip(cases, found, strict=True))
    if any(sign in answer.stderr for answer in answers.values() for sign in NO_ANSWER):
        pytest.skip("no registry of packages answers")
    return answers


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_there_are_wheels_of_what_is_pinned(
    case: tuple[str, str], resolved: dict[tuple[str, str], subprocess.CompletedProcess[str]]
) -> None:
    answer = resolved[case]
    assert answer.returncode == 0, answer.stderr
    packages = {line.partition("==")[0] for line in answer.stdout.splitlines()}
    assert {"ai-edge-litert", "dlib-bin", "grpcio", "opencv-python-headless"} <= packages
    tensorflow = {"tensorflow", "tensorflow-cpu"} & packages
    if SUPPORTED[case[0]] == CLIENTS:
        assert tensorflow == set()
    else:
        (name,) = tensorflow
        assert (name == "tensorflow-cpu") == case[0].startswith("x86_64")


def test_a_platform_without_wheels_is_told(
    resolved: dict[tuple[str, str], subprocess.CompletedProcess[str]],
) -> None:
    answer = resolved[UNSUPPORTED, "3.11"]
    assert answer.returncode != 0
    # Its lines are as long as it takes the terminal to be.
    assert "has no wheels with a matching platform tag" in " ".join(answer.stderr.split())
