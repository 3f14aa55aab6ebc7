"""Hit rollouts in every phase many times, and check what callers saw; can be resumed.

    make bench NAME=rollout_kills ARGS="--times 20 --results build/rollout-kills.jsonl"

Needs what `make test-cluster` needs. Each line of the results is one hit that was recovered from:
how, in which phase, and seconds. Lines that are there are not done again.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.cluster_installation import installed
from support.interrupted_rollouts import PHASES, check_recovery, kill, take_api_server_away
from support.kubernetes_cluster import roll_out

HITS = {"SIGKILL": kill, "API server away": take_api_server_away}


def read_done(results: Path) -> Counter[tuple[str, str]]:
    """Count the hits that were recovered from, by how and phase."""
    lines = results.read_text().splitlines() if results.exists() else []
    rows = [json.loads(line) for line in lines]
    return Counter((row["hit"], row["phase"]) for row in rows if row["recovered"])


def main() -> None:
    """Do the hits that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="of each hit in each phase")
    parser.add_argument("--results", type=Path, default=Path("build/rollout-kills.jsonl"))
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    done, failed = read_done(options.results), 0
    hits = [name for name in HITS if name == "SIGKILL" or "STOP_API" in os.environ]
    rounds = [(hit, phase) for _ in range(options.times) for hit in hits for phase in PHASES]
    seen: Counter[tuple[str, str]] = Counter()
    with installed() as publish:
        first = roll_out(publish(0.5), settings={"watch_s": 0})
        assert first.code == 0, first.messages
        for number, (hit, phase) in enumerate(rounds):
            seen[hit, phase] += 1
            if seen[hit, phase] <= done[hit, phase]:
                continue
            started = time.monotonic()
            problem = ""
            with tempfile.TemporaryDirectory() as folder:
                try:
                    check_recovery(publish, 1.0 + number, phase, HITS[hit], Path(folder))
                except AssertionError as error:
                    problem, failed = str(error)[:2000], failed + 1
            seconds = round(time.monotonic() - started, 1)
            row = {"hit": hit, "phase": phase, "recovered": not problem, "seconds": seconds}
            with options.results.open("a") as file:
                file.write(json.dumps(row | ({"problem": problem} if problem else {})) + "\n")
            print(f"{hit:<16} {phase:<10} {seconds:6.1f} s {problem or 'recovered'}", flush=True)
    for (hit, phase), count in sorted(read_done(options.results).items()):
        print(f"{hit:<16} {phase:<10} recovered {count} times")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
