"""Measure training in images a second, against the same network in plain PyTorch.

    make bench NAME=train ARGS="[--pytorch PYTHON] [--widths 32-64-128-256] [--rounds 3]
        [--steps 25] [--batch-size 128] [--threads N]"

Every measurement is its own process, and the two sides take turns, so that other work on the
machine affects both; the table shows medians, and ratios within a round. PyTorch is no dependency
of the project: `--pytorch` names an interpreter that has it (`pip install torch`); without one only
the project's own lines are printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PRECISIONS = ("float32", "bfloat16")


def measured(python: str, script: str, arguments: list[str]) -> dict[str, float]:
    """The JSON that a process printed last."""
    done = subprocess.run(
        [python, str(HERE / script), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        sys.exit(f"bench_train: {python} {script}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pytorch", default="", help="a Python that has torch")
    parser.add_argument("--widths", default="32-64-128-256", help="those of the shipped network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    sides = {"this project": (sys.executable, "train_ours.py")}
    if given.pytorch:
        sides["PyTorch"] = (given.pytorch, "train_pytorch.py")
    rates: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(given.rounds):
        for precision in PRECISIONS:
            numbers = given.threads, given.steps, given.batch_size
            arguments = [precision, given.widths, *map(str, numbers)]
            for side, command in sides.items():
                for source, rate in measured(*command, arguments).items():
                    rates.setdefault((side, precision, source), []).append(rate)
    table = Table("side", "precision", "fed by", "images/s", "against PyTorch", "against cached")
    for (side, precision, source), values in rates.items():
        rivals = rates.get(("PyTorch", precision, "cached batch"), [])
        cached = rates[side, precision, "cached batch"]
        row = [f"{statistics.median(values):.0f}", ratio(values, rivals), ratio(values, cached)]
        table.add_row(side, precision, source, *row)
    Console().print(table)


def ratio(values: list[float], others: list[float]) -> str:
    """The median over the rounds of one rate over the other of the same round."""
    if not others:
        return ""
    return f"{statistics.median(a / b for a, b in zip(values, others, strict=True)):.2f}"


if __name__ == "__main__":
    main()
