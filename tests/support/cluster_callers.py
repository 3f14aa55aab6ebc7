"""Callers of the model servers, each with a connection of its own; every call is written down.

    python tests/support/cluster_callers.py ADDRESS COUNT RESULTS [--pause SECONDS] [--no-retries]
        [--tls FOLDER]

Calls until SIGTERM. RESULTS gets a record of `CALL` for each call, in the order in which they end.
FOLDER has ca.crt, client.crt and client.key.
"""

import argparse
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from emotion_ai.client import channel
from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError

# When the call began, in seconds since 1970; how long it took; the release that answered (0: none)
# and the shift that the tiny release's answer shows; how the call failed, cut off.
CALL = np.dtype(
    [("start", "f8"), ("seconds", "f4"), ("version", "i4"), ("shift", "f4"), ("error", "S160")]
)
_FACE = np.full((1, 96, 96, 1), 128, np.uint8)
_FLUSH_SECONDS = 0.5


def service_addresses(namespace: str) -> tuple[str, str]:
    """Return the addresses that callers ask: the headless Service's, and the ClusterIP's."""
    return (
        f"dns:///emotion-ai-pods.{namespace}.svc.cluster.local:8500",
        f"emotion-ai.{namespace}.svc.cluster.local:8500",
    )


def call(client: Client) -> tuple[Any, ...]:
    """Send one request; return the record of it."""
    start, began = time.time(), time.perf_counter()
    version, shift, error = 0, 0.0, b""
    try:
        answer = client.predict_arrays(_FACE)
        version = answer.version
        shift = float(answer.outputs["keypoints"][0, 0, 0]) - 10.0 - 128 / 255
    except EmotionAIError as failure:
        error = str(failure).encode()[:160]
    return start, time.perf_counter() - began, version, shift, error


def read_tls(folder: Path) -> channel.Tls:
    """The files of a caller that servers with TLS let in."""
    return channel.Tls(folder / "ca.crt", folder / "client.crt", folder / "client.key")


def main(
    address: str,
    count: int,
    results: Path,
    tls: channel.Tls | None,
    *,
    retries: bool,
    pause_s: float,
) -> None:
    """Call with `count` callers side by side until SIGTERM; each rests between its calls."""
    if not retries:
        channel.OPTIONS.append(("grpc.enable_retries", 0))
    stop, lock = threading.Event(), threading.Lock()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with results.open("wb") as file:

        def write(calls: list[tuple[Any, ...]]) -> None:
            with lock:
                file.write(np.array(calls, CALL).tobytes())
                file.flush()

        def work() -> None:
            calls: list[tuple[Any, ...]] = []
            written = time.monotonic()
            with Client(address, tls=tls) as client:
                while not stop.is_set():
                    calls.append(call(client))
                    # A failure is not repeated as fast as the machine can.
                    if rest_s := 0.05 if calls[-1][-1] else pause_s:
                        stop.wait(rest_s)
                    if time.monotonic() - written >= _FLUSH_SECONDS:
                        write(calls)
                        calls.clear()
                        written = time.monotonic()
            write(calls)

        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("count", type=int)
    parser.add_argument("results", type=Path)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--no-retries", action="store_true")
    parser.add_argument("--tls", type=Path)
    options = parser.parse_args()
    main(
        options.address,
        options.count,
        options.results,
        read_tls(options.tls) if options.tls else None,
        retries=not options.no_retries,
        pause_s=options.pause,
    )
