"""What bench_serve.py measures, each in a process of its own; prints one JSON object.

    python tests/benchmarks/serving_load.py clients ADDRESS COUNT FACES SECONDS
    python tests/benchmarks/serving_load.py inside SAVED_MODEL THREADS FACES SECONDS
    python tests/benchmarks/serving_load.py lite SAVED_MODEL THREADS FACES SECONDS
    python tests/benchmarks/serving_load.py tensorflow KERAS_MODEL THREADS FACES SECONDS
    python tests/benchmarks/serving_load.py tflite MODEL THREADS FACES SECONDS

Each of COUNT clients or THREADS asks about FACES faces at a time, again as soon as it is answered.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_WARM_UP_CALLS = 20
Call = Callable[[], Any]


def measured(calls: list[Call], faces: int, seconds: float) -> dict[str, float]:
    """Faces a second, and p50 and p99 of a call in ms, of callers that run side by side."""
    warm_up = max(2, _WARM_UP_CALLS // len(calls))
    for call in calls:
        for _ in range(warm_up):
            call()
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds

    def work(call: Call, taken: list[float]) -> None:
        now = time.perf_counter()
        while now < end:
            call()
            before, now = now, time.perf_counter()
            taken.append(now - before)

    started, cpu = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=work, args=pair) for pair in zip(calls, times, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wall = time.perf_counter() - started
    every = np.concatenate([np.array(taken) for taken in times])
    return {
        "faces_per_second": len(every) * faces / wall,
        "p50_ms": float(np.percentile(every, 50) * 1e3),
        "p99_ms": float(np.percentile(every, 99) * 1e3),
        "cpu_ms_per_face": (time.process_time() - cpu) * 1e3 / (len(every) * faces),
        "calls": len(every),
        "warm_up_calls": warm_up * len(calls),
    }


def random_faces(count: int, size: int = 96) -> Any:
    """uint8 [count, size, size, 1]."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 1), np.uint8)


def clients(address: str, count: int, faces: int) -> list[Call]:
    """Callers of Predict that share a connection; the request is serialized once."""
    import grpc

    from emotion_ai.serving_api.messages import MODEL_NAME, PREDICTION_SERVICE, PredictRequest
    from emotion_ai.serving_api.tensors import fill_tensor

    request = PredictRequest()
    request.model_spec.name = MODEL_NAME
    fill_tensor(request.inputs["images"], random_faces(faces))
    data = request.SerializeToString()
    call = grpc.insecure_channel(address).unary_unary(f"/{PREDICTION_SERVICE}/Predict")
    return [lambda: call(data, timeout=60)] * count


def inside(path: str, threads: int, faces: int) -> list[Call]:
    """Callers of a SavedModel's function, arrays in and arrays out; a thread each."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    function = loaded.signatures["serving_default"]
    images = random_faces(faces)

    def call() -> Any:
        # `loaded` holds the weights.
        return loaded and {k: v.numpy() for k, v in function(images=tf.constant(images)).items()}

    return [call] * threads


def lite(path: str, threads: int, faces: int) -> list[Call]:
    """Callers of the model.tflite in a SavedModel's folder, as the server calls it."""
    from emotion_ai.litert.lite_model import LiteModel

    model = LiteModel(Path(path, "model.tflite").read_bytes(), threads)
    images = random_faces(faces)
    return [lambda: model.run(images)] * threads


def in_tensorflow(path: str, threads: int, faces: int) -> list[Call]:
    """Callers of a Keras network of another project, in one TensorFlow function."""
    import keras
    import tensorflow as tf

    network = keras.saving.load_model(path, compile=False)
    function = tf.function(lambda pixels: network(pixels, training=False))
    size = network.input_shape[1]
    pixels = random_faces(faces, size).astype(np.float32) / 127.5 - 1
    return [lambda: function(tf.constant(pixels)).numpy()] * threads


def in_tflite(path: str, threads: int, faces: int) -> list[Call]:
    """Callers of a TFLite network of another project; an interpreter each."""
    import tensorflow as tf

    def caller() -> Call:
        interpreter = tf.lite.Interpreter(path, num_threads=1)
        given = interpreter.get_input_details()[0]
        size = int(given["shape"][1])
        interpreter.resize_tensor_input(given["index"], [faces, size, size, 1])
        interpreter.allocate_tensors()
        pixels = random_faces(faces, size).astype(given["dtype"])
        answer = interpreter.get_output_details()[0]["index"]

        def call() -> Any:
            interpreter.set_tensor(given["index"], pixels)
            interpreter.invoke()
            return interpreter.get_tensor(answer)

        return call

    return [caller() for _ in range(threads)]


KINDS: dict[str, Callable[[str, int, int], list[Call]]] = {
    "clients": clients,
    "inside": inside,
    "lite": lite,
    "tensorflow": in_tensorflow,
    "tflite": in_tflite,
}


def main() -> None:
    """Measure what the arguments say."""
    kind, place, count, faces, seconds = sys.argv[1:]
    if kind != "clients":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        # One thread for each caller, as the server has one for each batch.
        tf.config.threading.set_intra_op_parallelism_threads(1)
    calls = KINDS[kind](place, int(count), int(faces))
    print(json.dumps(measured(calls, int(faces), float(seconds))))


if __name__ == "__main__":
    main()
