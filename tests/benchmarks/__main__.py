"""Run a benchmark by name: `make bench NAME=serve ARGS="--requests 1000"`.

Without a name, or with an unknown one, lists the benchmarks and exits with 2.
"""

import ast
import os
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def find_benchmarks() -> dict[str, Path]:
    """Return the benchmarks' scripts, bench_NAME.py, by name."""
    paths = sorted(_FOLDER.glob("bench_*.py"))
    return {path.stem.removeprefix("bench_"): path for path in paths}


def read_summary(path: Path) -> str:
    """Return the first line of a script's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    return docstring.partition("\n")[0]


def main(name: str = "", *arguments: str) -> None:
    """Replace this process by the benchmark, or list the benchmarks."""
    benchmarks = find_benchmarks()
    if name in benchmarks:
        command = [sys.executable, str(benchmarks[name]), *arguments]
        os.execv(sys.executable, command)  # noqa: S606
    problem = f"unknown benchmark {name!r}" if name else "no benchmark named"
    print(f'{problem}; expected make bench NAME=... ARGS="...", with NAME one of:', file=sys.stderr)
    for known, path in benchmarks.items():
        print(f"  {known:<10} {read_summary(path)}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
