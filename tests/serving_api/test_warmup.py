"""Golden requests in TFRecord framing, against TensorFlow's own reader and writer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.errors import InputError
from emotion_ai.serving_api import messages, warmup
from emotion_ai.serving_api.tensors import fill_tensor
from emotion_ai.serving_api.warmup import read_warmup, write_warmup


def _log(seed: int) -> object:
    log = messages.PredictionLog()
    log.predict_log.request.model_spec.name = messages.MODEL_NAME
    images = np.random.default_rng(seed).integers(0, 256, (2, 96, 96, 1), dtype=np.uint8)
    fill_tensor(log.predict_log.request.inputs["images"], images)
    fill_tensor(log.predict_log.response.outputs["keypoints"], np.ones((2, 15, 2), np.float32))
    return log


def test_write_warmup_is_readable_by_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = str(tmp_path / "requests")
    logs = [_log(0), _log(1)]
    write_warmup(path, logs)
    records = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    assert records == [log.SerializeToString() for log in logs]
    parsed = PredictionLog.FromString(records[1]).predict_log
    assert parsed.request.model_spec.name == "emotion_ai"
    images = tf.make_ndarray(parsed.request.inputs["images"])
    assert images.shape == (2, 96, 96, 1)
    assert read_warmup(path) == logs


def test_read_warmup_reads_files_of_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    path = str(tmp_path / "requests")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(_log(5).SerializeToString())
    assert read_warmup(path) == [_log(5)]


def test_write_warmup_without_requests_writes_an_empty_file(tmp_path: Path) -> None:
    path = str(tmp_path / "requests")
    write_warmup(path, [])
    assert Path(path).read_bytes() == b""
    assert read_warmup(path) == []


@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_read_warmup_detects_every_flipped_bit(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped"
    log = messages.PredictionLog()
    log.predict_log.request.model_spec.name = "x" * 40
    write_warmup(str(path), [log])
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(InputError, match="flipped: record 0: "):
        read_warmup(str(path))


@given(cut=st.integers(min_value=1))
def test_read_warmup_detects_every_truncation(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut"
    log = messages.PredictionLog()
    log.predict_log.request.model_spec.name = "x" * 40
    write_warmup(str(path), [log])
    data = path.read_bytes()
    path.write_bytes(data[: 1 + cut % (len(data) - 1)])
    with pytest.raises(InputError, match="cut short"):
        read_warmup(str(path))


def test_read_warmup_limits_number_and_size_of_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "requests")
    write_warmup(path, [messages.PredictionLog()] * (warmup.MAX_RECORDS + 1))
    with pytest.raises(InputError, match="record 1000: at most 1000"):
        read_warmup(path)
    write_warmup(path, [_log(0)])
    monkeypatch.setattr(warmup, "_MAX_RECORD_BYTES", 1000)
    with pytest.raises(InputError, match="at most 1000 are read"):
        read_warmup(path)


def test_read_warmup_rejects_other_messages(tmp_path: Path) -> None:
    path = tmp_path / "requests"
    path.write_bytes(warmup._frame_record(b"\xff\xff\xff"))
    with pytest.raises(InputError, match="record 0: not a PredictionLog"):
        read_warmup(str(path))
