"""The Makefile's `bench` verb."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "tests/benchmarks").glob("bench_*.py"))


def make_bench(*variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make bench` with this interpreter, without setting up .venv anew."""
    command = ["make", "--old-file=.venv/.ready", f"BIN={Path(sys.executable).parent}", "bench"]
    # An outer `make test` passes its own flags on.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "NAME")}
    return subprocess.run(
        [*command, *variables], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("variables", [(), ("NAME=nope",), ("NAME=serving_load",)])
def test_bench_lists_the_benchmarks_without_a_known_name(variables: tuple[str, ...]) -> None:
    result = make_bench(*variables)
    assert result.returncode == 2
    for path in BENCHMARKS:
        summary = path.read_text().partition("\n")[0].removeprefix('"""')
        assert path.stem.removeprefix("bench_") in result.stderr
        assert summary in result.stderr


def test_bench_passes_its_arguments_on() -> None:
    result = make_bench("NAME=kill", "ARGS=7 --help")
    assert result.returncode == 0, result.stderr
    assert "usage: bench_kill.py" in result.stdout
