"""Fuzz every reader of foreign bytes with damaged files.

    make bench NAME=fuzz ARGS="[CASES] [SEED] [NAME ...]"

Each reader runs in its own process with limits on address space and on the time of a case, over
CASES damaged files (10,000 by default). Prints one line per reader; the exit code is 1 after a
crash, a hanging case or an exceeded limit, and the case is printed.
The memory at the end includes every case, because hypothesis keeps them.
"""

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

BOUND_MB = 2048
CASE_SECONDS = 20


def fuzz(name: str, cases: int, number: int) -> None:
    """Run one reader in this process."""
    from hypothesis import HealthCheck, Phase, given, seed, settings

    from support.fuzz_targets import check_case, fuzz_targets

    target = fuzz_targets()[name]
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_DATA, (BOUND_MB << 20, BOUND_MB << 20))

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases)
    def read(case: bytes) -> None:
        # Kills the process, with a line that says so: a case that hangs is a defect.
        signal.alarm(CASE_SECONDS)
        check_case(target, case)
        signal.alarm(0)
        count[0] += 1

    count = [0]
    started = time.perf_counter()
    read()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.perf_counter() - started
    print(
        f"{name:14} {count[0]:7} cases {seconds:7.1f} s, "
        f"memory {base >> 10} -> {peak >> 10} MB, no crash"
    )


def main(cases: int, number: int, names: list[str]) -> int:
    """Run the named readers, or all, one after another."""
    from support.fuzz_targets import fuzz_targets

    worst = 0
    for name in names or fuzz_targets():
        command = [sys.executable, __file__, "--one", name, str(cases), str(number)]
        code = subprocess.run(command).returncode
        if code:
            print(f"{name:14} FAILED with {code}")
        worst = max(worst, int(code != 0))
    return worst


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        raise SystemExit(0)
    given_cases, given_seed = (*sys.argv[1:3], *("10000", "1")[len(sys.argv[1:3]) :])
    raise SystemExit(main(int(given_cases), int(given_seed), sys.argv[3:]))
