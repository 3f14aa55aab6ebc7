"""Measure what attacks on a server cost another caller, in latency and memory; count lost calls.

    make bench NAME=attack ARGS="[--seconds 6] [--stops 5]"

Each attack runs in a process of its own, on the same cores. Another caller asks for one face at a
time, alone, meanwhile and afterwards. The exit code is 1 if a limit is exceeded.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_stops import measure_alone

from emotion_ai.server.process import server_process
from emotion_ai.serving_api.messages import MODEL_NAME, PREDICTION_SERVICE, PredictRequest
from emotion_ai.serving_api.tensors import fill_tensor

from support.benchmark_limits import Measure, report

PREDICT = f"/{PREDICTION_SERVICE}/Predict"
OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
]


def request_for(shape: tuple[int, ...], **fields: Any) -> bytes:
    """A PredictRequest of pixels whose tensor has this shape and these fields."""
    request = PredictRequest()
    request.model_spec.name = MODEL_NAME
    tensor = request.inputs["images"]
    tensor.dtype = 4
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        if isinstance(value, bytes):
            setattr(tensor, name, value)
        else:
            getattr(tensor, name).extend(value)
    return bytes(request.SerializeToString())


def one_face() -> bytes:
    """A request for one black face."""
    request = PredictRequest()
    request.model_spec.name = MODEL_NAME
    fill_tensor(request.inputs["images"], np.zeros((1, 96, 96, 1), np.uint8))
    return bytes(request.SerializeToString())


async def repeat(address: str, count: int, data: bytes, timeout: float = 30.0) -> None:
    """Send a compressed request again and again, from some callers at once."""

    async def ask() -> None:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            call = channel.unary_unary(PREDICT)
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await call(data, timeout=timeout, compression=grpc.Compression.Gzip)

    await asyncio.gather(*(ask() for _ in range(count)))


async def watch(address: str) -> None:
    """1: hundreds of health watches, and calls whose message never comes."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        watches = [channel.unary_stream("/grpc.health.v1.Health/Watch")(b"") for _ in range(500)]
        for stream in watches:
            await stream.read()
        calls = [channel.stream_unary(PREDICT)() for _ in range(500)]
        await asyncio.sleep(3600)
        del calls


async def connect(address: str) -> None:
    """11: connections that say nothing, opened again when they are closed."""
    host, _, port = address.rpartition(":")
    sockets: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            sockets.append(socket.create_connection((host, int(port)), timeout=1))
        if len(sockets) > 500:
            sockets.pop(0).close()
        await asyncio.sleep(0.005)


ATTACKS: dict[str, Callable[[str], Awaitable[None]]] = {
    "1 watches and calls without a message": watch,
    "2 shapes of 100,000 dimensions": lambda a: repeat(a, 4, request_for((1,) * 100_000)),
    "2 a million typed values": lambda a: repeat(
        a, 4, request_for((1, 96, 96, 1), int_val=[1] * 1_000_000)
    ),
    "3 29,127 faces in 47 bytes": lambda a: repeat(a, 16, request_for((29_127, 96, 96, 1))),
    "3 1,024 faces, callers that leave": lambda a: repeat(
        a, 8, request_for((1024, 96, 96, 1)), 0.5
    ),
    "4 200 MB in 200 KB": lambda a: repeat(
        a, 6, request_for((1,), tensor_content=bytes(200 << 20))
    ),
    "4 15 MB in 15 KB": lambda a: repeat(a, 6, request_for((1,), tensor_content=bytes(15 << 20))),
    "11 silent connections": connect,
}


@contextlib.contextmanager
def attacking(name: str, address: str) -> Iterator[None]:
    """Attack from another process during a `with` block."""
    command = [sys.executable, __file__, "--attack", name, address]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        time.sleep(1.5)
        try:
            yield
            if process.poll() is not None:
                raise SystemExit(f"{name}: the attack ended")
        finally:
            process.kill()


def iterate_latencies(address: str) -> Iterator[float]:
    """Ask for a face every 20 ms; the milliseconds of each answer, failures as 60 s."""
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        while True:
            started = time.monotonic()
            try:
                call(one_face(), timeout=30, wait_for_ready=True)
                yield (time.monotonic() - started) * 1e3
            except grpc.RpcError:
                yield 60_000.0
            time.sleep(0.02)


def latencies(address: str, seconds: float) -> list[float]:
    """The latencies of some seconds."""
    ends = time.monotonic() + seconds
    return list(itertools.takewhile(lambda _: time.monotonic() < ends, iterate_latencies(address)))


def memory_mb(process_id: int, kind: str) -> float:
    """VmRSS or VmHWM of a process."""
    status = Path(f"/proc/{process_id}/status").read_text()
    match = re.search(rf"{kind}:\s+(\d+)", status)
    return int(match[1]) / 1024 if match else 0.0


def recovery_seconds(address: str, usual_ms: float) -> float:
    """Seconds until five answers in a row are as fast as before, within a half."""
    started, fast = time.monotonic(), 0
    for latency in iterate_latencies(address):
        fast = fast + 1 if latency <= 1.5 * usual_ms else 0
        if fast == 5 or time.monotonic() - started > 60:
            break
    return time.monotonic() - started


def measure_attack(name: str, folder: Path, seconds: float) -> list[Measure]:
    """Attack a fresh server."""
    flags = ["--port=0", f"--model_name={MODEL_NAME}", f"--model_base_path={folder}"]
    with server_process(flags, folder / "server.log") as (address, process):
        latencies(address, 2.0)
        alone = np.percentile(latencies(address, seconds), 99)
        idle = memory_mb(process.pid, "VmRSS")
        with attacking(name, address):
            meanwhile = latencies(address, seconds)
        recovery = recovery_seconds(address, float(alone))
        peak = memory_mb(process.pid, "VmHWM")
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
    parser.add_argument("--only", nargs="*", choices=ATTACKS)
    parser.add_argument("--attack", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attack:
        os.nice(5)
        name, address = arguments.attack
        asyncio.run(ATTACKS[name](address))
        return
    with tempfile.TemporaryDirectory(prefix="attack-") as scratch:
        folder = Path(scratch)
        write_model(folder / "1")
        measures = [
            m
            for name in arguments.only or ATTACKS
            for m in measure_attack(name, folder, arguments.seconds)
        ]
        measures += measure_alone(folder, folder, arguments.stops)
    missed = [measure.name for measure in measures if not measure.is_kept()]
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
