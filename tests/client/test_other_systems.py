"""The clients need nothing that Windows lacks: told by a process from which that was taken away."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from support.photographs import portrait

TESTS = Path(__file__).parents[1]
# What `pip install 'emotion-ai[client,local,video,console]'` is for.
ROOMS = ("client", "litert", "storage", "faces", "apps.predict", "apps.watch", "apps.console")
IMPORT_ALL = f"""
import importlib, pkgutil, emotion_ai
for room in {ROOMS}:
    package = importlib.import_module(f"emotion_ai.{{room}}")
    for module in pkgutil.walk_packages(package.__path__, f"emotion_ai.{{room}}."):
        print(importlib.import_module(module.name).__name__)
"""
COMMAND = """
import sys
sys.argv = ["emotion-ai", *sys.argv[1:]]
from emotion_ai.pipeline.cli.__main__ import main
main()
"""


def run(program: str, *arguments: str, cwd: Path) -> str:
    guise = "from support import windows_guise\nwindows_guise.put_on()\n"
    done = subprocess.run(
        [sys.executable, "-c", guise + program, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_of_the_clients_is_imported_without_posix(tmp_path: Path) -> None:
    modules = run(IMPORT_ALL, cwd=tmp_path).split()
    assert {f"emotion_ai.{room}" for room in ROOMS} <= {name.rpartition(".")[0] for name in modules}
    assert len(modules) > 50


@pytest.mark.parametrize("writes", ["to-the-screen", "into-a-file"])
def test_predict_answers_without_posix(tmp_path: Path, writes: str) -> None:
    Image.fromarray(portrait()).save(tmp_path / "me.png")
    output = ["-o", "faces.csv"] if writes == "into-a-file" else ["--format", "csv"]
    printed = run(COMMAND, "predict", "me.png", *output, cwd=tmp_path)
    text = (tmp_path / "faces.csv").read_text() if writes == "into-a-file" else printed
    (row,) = csv.DictReader(text.splitlines())
    assert row["emotion"]
    left = {path.name for path in tmp_path.iterdir()} - {"me.png", "faces.csv"}
    assert left == set(), "no temporary file stays"


def test_the_guise_takes_away_what_it_says(tmp_path: Path) -> None:
    program = """
import os
try:
    import fcntl
except ModuleNotFoundError:
    print("no fcntl")
with open("open.txt", "w") as file:
    try:
        os.replace("open.txt", "renamed.txt")
    except PermissionError:
        print("keeps its name")
print(hasattr(os, "register_at_fork"))
"""
    assert run(program, cwd=tmp_path).splitlines() == ["no fcntl", "keeps its name", "False"]
