"""Measure what attacks on a server or console cost another caller; count calls that stops lose.

    make bench NAME=attack ARGS="[--seconds 6] [--stops 5]"

Each attack runs in a process of its own, on the same cores. Another caller asks for one face (of
the console: for a photo) at a time, alone, meanwhile and afterwards. The exit code is 1 if a limit
is exceeded.
"""

import argparse
import contextlib
import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from attacks import ATTACKS, CONSOLE_ATTACKS, OPTIONS, PREDICT, REST_ATTACKS
from bench_stops import measure_alone

from emotion_ai.server.process import server_process
from emotion_ai.serving_api.messages import MODEL_NAME, PredictRequest
from emotion_ai.serving_api.tensors import fill_tensor

from support.benchmark_limits import Measure, report
from support.cloud_storage import free_port
from support.console_process import photo, running_console

Ask = Callable[[], Any]


def one_face() -> bytes:
    """A request for one black face."""
    request = PredictRequest()
    request.model_spec.name = MODEL_NAME
    fill_tensor(request.inputs["images"], np.zeros((1, 96, 96, 1), np.uint8))
    return bytes(request.SerializeToString())


@contextlib.contextmanager
def attacking(name: str, address: str) -> Iterator[None]:
    """Attack from another process during a `with` block."""
    command = [sys.executable, str(Path(__file__).with_name("attacks.py")), name, address]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        time.sleep(1.5)
        try:
            yield
            if process.poll() is not None:
                raise SystemExit(f"{name}: the attack ended")
        finally:
            process.kill()


def iterate_latencies(ask: Ask) -> Iterator[float]:
    """Ask every 20 ms; the milliseconds of each answer, failures as 60 s."""
    while True:
        started = time.monotonic()
        try:
            ask()
            yield (time.monotonic() - started) * 1e3
        except (grpc.RpcError, OSError, http.client.HTTPException):
            yield 60_000.0
        time.sleep(0.02)


def latencies(ask: Ask, seconds: float) -> list[float]:
    """The latencies of some seconds, and of the answer that comes then."""
    ends, found = time.monotonic() + seconds, []
    for latency in iterate_latencies(ask):
        found.append(latency)
        if time.monotonic() >= ends:
            break
    return found


def memory_mb(process_id: int, kind: str) -> float:
    """VmRSS or VmHWM of a process."""
    status = Path(f"/proc/{process_id}/status").read_text()
    match = re.search(rf"{kind}:\s+(\d+)", status)
    return int(match[1]) / 1024 if match else 0.0


def recovery_seconds(ask: Ask, usual_ms: float) -> float:
    """Seconds until five answers in a row are as fast as before, within a half."""
    started, fast = time.monotonic(), 0
    for latency in iterate_latencies(ask):
        fast = fast + 1 if latency <= 1.5 * usual_ms else 0
        if fast == 5 or time.monotonic() - started > 60:
            break
    return time.monotonic() - started


class Target(NamedTuple):
    """What is attacked: its addresses, its process, and how another caller asks it."""

    address: str
    rest: str
    process_id: int
    ask: Ask


@contextlib.contextmanager
def server_target(folder: Path) -> Iterator[Target]:
    """A server; the caller asks for one face."""
    rest = free_port()
    flags = [
        "--port=0",
        f"--rest_api_port={rest}",
        f"--model_name={MODEL_NAME}",
        f"--model_base_path={folder}",
    ]
    with (
        server_process(flags, folder / "server.log") as (address, process),
        grpc.insecure_channel(address, options=OPTIONS) as channel,
    ):
        call, data = channel.unary_unary(PREDICT), one_face()
        ask = partial(call, data, timeout=30, wait_for_ready=True)
        yield Target(address, f"127.0.0.1:{rest}", process.pid, ask)


@contextlib.contextmanager
def console_target(folder: Path) -> Iterator[Target]:
    """A console beside a server; the visitor sends a photo."""
    with (
        server_target(folder) as server,
        running_console("--server", server.address, "--port", "0") as console,
    ):
        address, picture = console.url.removeprefix("http://"), photo()

        def ask() -> None:
            with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                connection.request("POST", "/photo", picture)
                if connection.getresponse().status != 200:
                    raise ConnectionError

        yield Target(address, "", console.process.pid, ask)


def measure_attack(name: str, folder: Path, seconds: float) -> list[Measure]:
    """Attack a fresh server, or a console."""
    attacked = console_target if name in CONSOLE_ATTACKS else server_target
    with attacked(folder) as target:
        latencies(target.ask, 2.0)
        alone = np.percentile(latencies(target.ask, seconds), 99)
        idle = memory_mb(target.process_id, "VmRSS")
        with attacking(name, target.rest if name in REST_ATTACKS else target.address):
            meanwhile = latencies(target.ask, seconds)
        recovery = recovery_seconds(target.ask, float(alone))
        peak = memory_mb(target.process_id, "VmHWM")
    p99, worst = np.percentile(meanwhile, 99), max(meanwhile)
    how = f"({p99:.0f} / {alone:.0f} ms; worst {worst:.0f} ms)"
    return report(
        name,
        [
            Measure("p99 meanwhile / alone", float(p99 / alone), 5.0, True, how),
            Measure("peak memory / idle", peak / idle, 2.0, True, f"({peak:.0f} / {idle:.0f} MB)"),
            Measure("recovery, s", recovery, 5.0, True, ""),
        ],
    )


def write_model(path: Path) -> None:
    """The pretrained networks."""
    code = (
        "import shutil, sys\n"
        "from emotion_ai.server.pretrained import pretrained_registry\n"
        "with pretrained_registry() as registry:\n"
        "    shutil.copytree(registry + '/1', sys.argv[1])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)


def main() -> None:
    """Run each attack."""
    parser = argparse.ArgumentParser(description="Attack a server.")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=[*ATTACKS, *REST_ATTACKS, *CONSOLE_ATTACKS])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attack-") as scratch:
        folder = Path(scratch)
        write_model(folder / "1")
        measures = [
            m
            for name in arguments.only or [*ATTACKS, *REST_ATTACKS, *CONSOLE_ATTACKS]
            for m in measure_attack(name, folder, arguments.seconds)
        ]
        measures += measure_alone(folder, folder, arguments.stops)
    missed = [measure.name for measure in measures if not measure.is_kept()]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
