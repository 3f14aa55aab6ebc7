"""Measure the images' sizes, and the time from `docker run` to a step's first line of work.

    make bench NAME=images ARGS="[--sizes]"

`make` builds the images first. Sizes are uncompressed megabytes (10^6 bytes) added to the python
image. The first line of work is the one after the step's own imports; it is reached through the
very command that KFP compiles into the pipeline. The exit code is 1 if a limit is exceeded.
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.policy import STEPS, image_tags
from emotion_ai.pipeline.settings import load_environment, load_run_settings

ENGINE = shutil.which("docker") or shutil.which("podman") or "docker"
PYTHON = "python:3.11-slim"
MEGABYTES = {"client": 210, "base": 300, "serve": 1300, "train": 1300}
SECONDS = {"base": 1.5, "train": 7.0}
RUNS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", action="store_true", help="sizes alone")
    flags = parser.parse_args()
    met = show("image", "MB added", [(name, added(name), MEGABYTES[name]) for name in MEGABYTES])
    if not flags.sizes:
        starts = [(step, seconds(step), SECONDS[STEPS[step].image]) for step in STEPS]
        met &= show("step", "s to its first line of work", starts)
    return 0 if met else 1


def show(what: str, number: str, rows: list[tuple[str, float, float]]) -> bool:
    """Print a table; returns whether every number is within its bound."""
    sys.stdout.write(f"{what:<18}{number:>30}{'at most':>10}\n")
    for name, value, most in rows:
        sys.stdout.write(f"{name:<18}{value:>30.2f}{most:>10}\n")
    return all(value <= most for _, value, most in rows)


def image_of(target: str) -> str:
    return f"{load_environment('local').compile.image}/{target}:{image_tags(target)[0]}"


def added(target: str) -> float:
    """Megabytes that an image adds to the python image."""
    return (size(image_of(target)) - size(PYTHON)) / 1e6


def size(image: str) -> int:
    command = [ENGINE, "image", "inspect", "--format={{.Size}}", image]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(step: str) -> float:
    """The middle of some runs of a step that ends where its work would begin."""
    command = [ENGINE, "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp"]
    command += [image_of(STEPS[step].image), *first_line_alone(step)]
    taken = []
    for _ in range(RUNS):
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            while "at work" not in (line := process.stdout.readline()):
                assert line, f"{step} did not come to its work"
            taken.append(time.monotonic() - started)
            process.stdout.read()
    return sorted(taken)[RUNS // 2]


def first_line_alone(step: str) -> list[str]:
    """The step's command as compiled, its function cut down to the imports it begins with."""
    container = compiled()["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    *shell, program = container["command"]
    tree = ast.parse(program)
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    imports = [n for n in function.body if isinstance(n, ast.Import | ast.ImportFrom)]
    function.args = ast.parse("lambda: 0", mode="eval").body.args  # type: ignore[attr-defined]
    function.returns = None
    function.body = [*imports, ast.parse("print('at work', flush=True)").body[0]]
    told = json.dumps({"inputs": {}, "outputs": {"outputFile": "/tmp/executor_output.json"}})
    named = ["--executor_input", told, "--function_to_execute", function.name]
    return [*shell, ast.unparse(ast.fix_missing_locations(tree)), *named]


def compiled() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        compile_pipeline(load_environment("local").compile, load_run_settings("local"), path)
        return next(yaml.safe_load_all(path.read_text()))


if __name__ == "__main__":
    sys.exit(main())
