"""Stop servers under 16 callers, and count the calls that are lost.

    make bench NAME=stops ARGS="[--stops 50]"

First a server alone, whose callers send every call once: each stop comes after 200 answers. Then
two servers in turns, whose callers use the package's client and know both addresses. The exit code
is 1 if a call is lost.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.benchmark_limits import Measure, report
from support.server_stops import Stop, stop_alone, stop_in_turns


def measure_alone(models: Path, scratch: Path, stops: int) -> list[Measure]:
    """Stop a server whose callers send every call once."""
    results: list[Stop] = [stop_alone(models, scratch / "alone.log") for _ in range(stops)]
    before = [call for stop in results for call in stop.before]
    after = [call for stop in results for call in stop.after]
    lost = Counter(call.error for call in before if call.is_lost())
    slowest = max(stop.seconds for stop in results)
    # These came within the milliseconds until their caller had been told.
    cancelled = sum(call.is_lost() for call in after)
    how = f"of {len(before)} {dict(lost) or ''}; {cancelled} of {len(after)} later ones cancelled"
    return report(
        f"{stops} stops alone",
        [
            Measure("calls lost", lost.total(), 0, True, how),
            Measure("slowest stop, s", slowest, 5, True, ""),
        ],
    )


def measure_in_turns(models: list[Path], scratch: Path, stops: int) -> list[Measure]:
    """Stop one of two servers, whose callers use the client."""
    calls = stop_in_turns(models, scratch, stops)
    errors = Counter(call.error for call in calls if call.error)
    how = f"of {len(calls)} {dict(errors) or ''}"
    return report(
        f"{stops} stops beside another server",
        [Measure("calls that failed", errors.total(), 0, True, how)],
    )


def main() -> int:
    """Stop, print, and return 1 where a call was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stops", type=int, default=50, help="of each kind (%(default)s)")
    stops = parser.parse_args().stops
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from support.tiny_saved_model import write_saved_model

    with tempfile.TemporaryDirectory(prefix="bench-stops-") as name:
        scratch = Path(name)
        models = [scratch / "one", scratch / "other"]
        for version, folder in enumerate(models, 1):
            write_saved_model(folder / str(version))
        measures = measure_alone(models[0], scratch, stops)
        measures += measure_in_turns(models, scratch, stops)
    return 0 if all(measure.is_kept() for measure in measures) else 1


if __name__ == "__main__":
    sys.exit(main())
