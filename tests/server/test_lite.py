"""--prefer_tflite_model: LiteRT serves `serving_default` where a release has model.tflite.

The SavedModel has shift 2 and its model.tflite shift 5, so outputs show which of them ran.
"""

import re
import socket
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.registry.releases import LITE_PATH
from emotion_ai.server.process import server_process

from support.server_calls import eventually

_MODELS = """
model_config_list {{ config {{
  name: "emotion_ai" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ all {{}} }}
}} }}
"""
SAVED_MODEL_ONLY, WITH_LITE, DAMAGED, OTHER_SIGNATURE = 1, 2, 3, 4
SHIFT_SAVED_MODEL, SHIFT_LITE = 2.0, 5.0


class Served(NamedTuple):
    """A client of the server, its log, and the URL of its metrics."""

    client: Client
    log: Path
    metrics: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    import tensorflow as tf

    from emotion_ai.export.lite import convert_to_lite

    from support.tiny_saved_model import write_saved_model

    folder = tmp_path_factory.mktemp("lite")
    base = folder / "models"
    for version in (SAVED_MODEL_ONLY, WITH_LITE, DAMAGED, OTHER_SIGNATURE):
        write_saved_model(base / str(version), SHIFT_SAVED_MODEL)
    other = str(write_saved_model(folder / "other", SHIFT_LITE))
    (base / str(WITH_LITE) / LITE_PATH).write_bytes(convert_to_lite(other, "float32"))
    (base / str(DAMAGED) / LITE_PATH).write_bytes(b"not a model")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "numbers")])
    def doubled(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"doubled": 2 * numbers}

    module = tf.Module()
    module.doubled = doubled
    tf.saved_model.save(module, str(folder / "doubled"), signatures=doubled)
    content = convert_to_lite(str(folder / "doubled"), "float32")
    (base / str(OTHER_SIGNATURE) / LITE_PATH).write_bytes(content)

    (folder / "models.config").write_text(_MODELS.format(folder=base))
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        rest = probe.getsockname()[1]
    flags = ["--port=0", "--prefer_tflite_model", f"--model_config_file={folder}/models.config"]
    flags += [f"--monitoring_config_file={folder}/monitoring.config", f"--rest_api_port={rest}"]
    with (
        server_process(flags, folder / "log") as (address, _),
        Client(address) as client,
    ):
        states = {
            SAVED_MODEL_ONLY: "AVAILABLE",
            WITH_LITE: "AVAILABLE",
            DAMAGED: "END",
            OTHER_SIGNATURE: "END",
        }
        eventually(lambda: client.model_status() == states)
        yield Served(
            client, folder / "log", f"http://127.0.0.1:{rest}/monitoring/prometheus/metrics"
        )


def _shift(served: Served, version: int, signature: str = "serving_default") -> float:
    from emotion_ai.serving_api.messages import PredictRequest
    from emotion_ai.serving_api.tensors import fill_tensor

    request = PredictRequest()
    request.model_spec.name = "emotion_ai"
    request.model_spec.signature_name = signature
    black = np.zeros((1, 96, 96, 1), np.uint8)
    if signature == "encoded":
        from io import BytesIO

        from PIL import Image

        file = BytesIO()
        Image.fromarray(black[0, ..., 0]).save(file, "png")
        fill_tensor(request.inputs["image_bytes"], np.array([file.getvalue()], object))
    else:
        fill_tensor(request.inputs["images"], black)
    response = served.client.send(request, version)
    return float(response.outputs["keypoints"][0, 0, 0]) - 10


def test_litert_serves_serving_default_only(served: Served) -> None:
    assert _shift(served, WITH_LITE) == pytest.approx(SHIFT_LITE)
    assert _shift(served, WITH_LITE, "encoded") == pytest.approx(SHIFT_SAVED_MODEL)
    text = served.log.read_text()
    assert f"version {WITH_LITE}: LiteRT serves serving_default from model.tflite" in text


def test_saved_model_serves_without_model_tflite(served: Served) -> None:
    assert _shift(served, SAVED_MODEL_ONLY) == pytest.approx(SHIFT_SAVED_MODEL)
    text = served.log.read_text()
    assert (
        f"version {SAVED_MODEL_ONLY}: no model.tflite; the SavedModel serves every signature"
        in text
    )


def test_invalid_model_tflite_does_not_load(served: Served) -> None:
    errors = {s.version: s.error for s in served.client.version_statuses() if s.error}
    assert f"{DAMAGED}/model.tflite: not a TensorFlow Lite model" in errors[DAMAGED]
    assert "input numbers, outputs doubled" in errors[OTHER_SIGNATURE]


def test_metrics_name_the_runtime(served: Served) -> None:
    for version in (SAVED_MODEL_ONLY, WITH_LITE):
        _shift(served, version)
    with urllib.request.urlopen(served.metrics, timeout=10) as response:  # noqa: S310 - our own
        page = response.read().decode()
    ran = set(re.findall(r'runtime_latency_count\{.*version="(.)".*runtime="(\w+)"\} [1-9]', page))
    assert {(str(SAVED_MODEL_ONLY), "TF1"), (str(WITH_LITE), "TFLite")} <= ran


def test_concurrent_clients_get_their_own_outputs(served: Served) -> None:
    def predict(level: int) -> None:
        # Sizes that take one run of the interpreter and several.
        for count in (1, 3, 21, 0):
            faces = np.full((count, 96, 96, 1), level, np.uint8)
            outputs = served.client.predict_arrays(faces).outputs
            expected = np.full((count, 15), 10 + SHIFT_LITE + level / 255, np.float32)
            np.testing.assert_allclose(outputs["keypoints"][..., 0], expected, atol=1e-4)
            assert outputs["emotion_labels"].shape == (count, 7)
            assert len(set(outputs["emotion"].tolist())) == min(count, 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(predict, range(10, 250, 5)))
