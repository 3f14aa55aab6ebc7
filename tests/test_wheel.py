"""The built wheel, installed where nothing else is, used as the README says."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from emotion_ai.client.client import Client
from emotion_ai.registry.champion import write_champion
from emotion_ai.server.process import running_server

from support.photographs import portrait
from support.server_calls import eventually
from support.tiny_saved_model import publish_tiny_release

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "components", "pipeline"):
        # Links: building leaves files of its own beside them.
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(source)], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its extra `local` alone."""
    folder = tmp_path_factory.mktemp("installed")
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, f"{wheel}[local]"], check=True, timeout=600)
    return python


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    registry = tmp_path / "registry"
    write_champion(str(registry), publish_tiny_release(registry, tmp_path, 1.0, 1.0))
    with running_server(str(registry), tmp_path / "server.log") as address:
        with Client(address) as client:
            eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        yield address


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def test_wheel_installs_one_package_with_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"emotion_ai"}
    assert {
        "emotion_ai/py.typed",
        "emotion_ai/apps/console/assets/index.html",
        "emotion_ai/litert/pretrained.tflite",
        "emotion_ai/networks/pretrained/expression.npz",
        "emotion_ai/pipeline/presets/quick.yaml",
        "emotion_ai/pipeline/training.py",
        "emotion_ai/serving_api/serving.binpb",
    } <= set(names)


def test_wheel_runs_the_readme_example_without_tensorflow(python: Path, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"```python\n(from emotion_ai import .*?)```", readme, re.DOTALL)
    (picture,) = re.findall(r'analyze\("([^"]+)"\)', example)
    (tmp_path / picture).parent.mkdir(parents=True)
    Image.fromarray(portrait()).save(tmp_path / picture)
    program = example + "\nimport sys\nassert 'tensorflow' not in sys.modules\n"
    result = run(python, "-c", program, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1, result.stdout


def test_wheel_has_the_command(python: Path, server: str, tmp_path: Path) -> None:
    Image.fromarray(portrait()).save(tmp_path / "me.png")
    command = python.with_name("emotion-ai")
    for options in ((), ("--server", server)):
        result = subprocess.run(
            [command, "predict", "me.png", *options, "--format", "csv"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        assert len(result.stdout.splitlines()) == 2
