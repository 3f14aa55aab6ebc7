"""Read and write golden requests: `PredictionLog` messages in a TFRecord file.

TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests` when it loads a version
(https://www.tensorflow.org/tfx/serving/saved_model_warmup); a rollout also compares the responses.
A record is its length (uint64, little-endian), the masked CRC-32C of those eight bytes, the
message, and its masked CRC-32C (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import google_crc32c
from google.protobuf.message import DecodeError

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.serving_api.messages import PredictionLog

# TensorFlow Serving replays no more than 1,000 (WarmupConsts::kMaxNumRecords).
MAX_RECORDS = 1000
_MAX_RECORD_BYTES = 16 << 20
_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")


def write_warmup(uri: str, logs: Iterable[Any]) -> None:
    """Write golden requests.

    Args:
        uri: A local path or a gs:// URI.
        logs: `PredictionLog` messages, with a request and a response each.

    Raises:
        Unavailable: The file cannot be written.
    """
    storage.write_bytes(uri, b"".join(_frame_record(log.SerializeToString()) for log in logs))


def read_warmup(uri: str) -> list[Any]:
    """Read golden requests.

    Args:
        uri: A local path or a gs:// URI.

    Returns:
        `PredictionLog` messages.

    Raises:
        InputError: The file is missing, a record is damaged, or there are more than 1,000.
        Unavailable: The storage failed.
    """
    with storage.open_binary(uri) as file, storage.translate_errors(uri):
        return list(_iterate_records(uri, file))


def _iterate_records(uri: str, file: BinaryIO) -> Iterator[Any]:
    for number in range(MAX_RECORDS + 1):
        header = file.read(_HEADER.size)
        if not header:
            return
        place = f"{uri}: record {number}"
        if number == MAX_RECORDS:
            raise InputError(f"{place}: at most {MAX_RECORDS} golden requests are read")
        if len(header) < _HEADER.size:
            raise InputError(f"{place}: cut short")
        length, checksum = _HEADER.unpack(header)
        if checksum != _masked_crc(header[:8]):
            raise InputError(f"{place}: checksum of its length is wrong; the file is damaged")
        if length > _MAX_RECORD_BYTES:
            raise InputError(f"{place}: {length} bytes; at most {_MAX_RECORD_BYTES} are read")
        yield _parse_record(place, file.read(length + _CHECKSUM.size), length)


def _parse_record(place: str, body: bytes, length: int) -> Any:
    if len(body) < length + _CHECKSUM.size:
        raise InputError(f"{place}: cut short")
    data = body[:length]
    if _CHECKSUM.unpack(body[length:])[0] != _masked_crc(data):
        raise InputError(f"{place}: checksum is wrong; the file is damaged")
    try:
        return PredictionLog.FromString(data)
    except DecodeError:
        raise InputError(f"{place}: not a PredictionLog") from None


def _frame_record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    header = length + _CHECKSUM.pack(_masked_crc(length))
    return header + data + _CHECKSUM.pack(_masked_crc(data))


def _masked_crc(data: bytes) -> int:
    # TensorFlow masks checksums that are stored beside their data: tsl/lib/hash/crc32c.h.
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
