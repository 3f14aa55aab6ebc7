"""A SavedModel in memory: fetched, verified, loaded and warmed up. Imports TensorFlow."""

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.export.lite_model import LiteModel
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    LITE_PATH,
    WARMUP_PATH,
    read_release,
    release_uri,
    verify_release,
)
from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.predict_request import DEFAULT_SIGNATURE, Signature, prepare, signature_of
from emotion_ai.server.session import open_session
from emotion_ai.serving_api.messages import SignatureDefMap
from emotion_ai.serving_api.warmup import read_golden

_CODES = {code.value[0]: code for code in StatusCode}
# gRPC carries a message in a header, and headers are small.
_LONGEST_MESSAGE = 2_000
# As TensorFlow Serving labels its runtimes in the metrics; it has no label for LiteRT.
_TENSORFLOW, _LITE = "TF1", "TFLite"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """What a version is while it is held: its session, and its signatures by name.

    `definitions` is the SignatureDefMap of its metadata.
    """

    session: Any
    signatures: dict[str, Signature]
    definitions: Any
    # What has to live as long as the session does.
    holds: tuple[Any, ...]
    # model.tflite, where it answers `serving_default`.
    lite: LiteModel | None = None

    def runtime(self, signature: Signature) -> str:
        """What answers a signature, as the metrics name it."""
        is_lite = self.lite is not None and signature is self.signatures.get(DEFAULT_SIGNATURE)
        return _LITE if is_lite else _TENSORFLOW

    def run(self, signature: Signature, inputs: dict[str, NDArray]) -> dict[str, NDArray]:
        """The outputs of a signature by name; raises `StatusError` as TensorFlow would."""
        if self.lite is not None and self.runtime(signature) == _LITE:
            answers = self.lite.run(inputs[self.lite.input])
            return {alias: answers[alias] for alias in signature.outputs}
        feeds = {signature.inputs[alias].tensor: array for alias, array in inputs.items()}
        try:
            outputs = self.session.run(list(signature.outputs.values()), feeds)
        except tf.errors.OpError as error:
            raise _refusal(error) from None
        return dict(zip(signature.outputs, outputs, strict=True))

    def close(self) -> None:
        """Give the memory back."""
        self.session.close()


class Loader:
    """Loads versions, with the threads and the warm-up that the flags say."""

    def __init__(self, flags: ServerFlags) -> None:
        self._warms_up = flags.enable_model_warmup
        self._prefers_lite = flags.prefer_tflite_model
        both = flags.tensorflow_session_parallelism
        # As many batches run at once as there are cores, so one thread each is enough for an op.
        # Two ops at once let both networks look at a lone face side by side. On a single core the
        # caller's own thread does all of them (below zero), and none is woken.
        side_by_side = 2 if len(os.sched_getaffinity(0)) > 1 else -1
        self._threads = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=flags.tensorflow_intra_op_parallelism or both or 1,
            inter_op_parallelism_threads=flags.tensorflow_inter_op_parallelism
            or both
            or side_by_side,
        )

    def __call__(self, base_path: str, version: int) -> LoadedModel:
        """Load `<base_path>/<version>` and replay its warm-up requests.

        A release's files are compared with its release.json first; a SavedModel without one is
        taken as it is, as TensorFlow Serving takes it. Raises `InputError` naming what is missing
        or altered, and whatever TensorFlow raises.
        """
        uri = release_uri(base_path, version)
        if not storage.exists(storage.join(uri, GRAPH_PATH)):
            raise InputError(f"{uri}: no {GRAPH_PATH} there")
        if storage.is_remote(base_path):
            scratch = tempfile.TemporaryDirectory(prefix="emotion-ai-release-")
            _download(base_path, version, Path(scratch.name))
            return self._load(scratch.name, version, (scratch,))
        return self._load(str(storage.local_path(base_path)), version, ())

    def _load(self, base_path: str, version: int, holds: tuple[Any, ...]) -> LoadedModel:
        path = Path(base_path) / str(version)
        if (path / INFO_PATH).exists():
            verify_release(base_path, version)
        session, meta_graph = open_session(path, self._threads)
        try:
            definitions = SignatureDefMap()
            for name, definition in meta_graph.signature_def.items():
                serialized = definition.SerializeToString()
                definitions.signature_def[name].ParseFromString(serialized)
            signatures = {
                name: signature_of(definition)
                for name, definition in definitions.signature_def.items()
            }
            lite = _lite_model(path, signatures) if self._prefers_lite else None
            model = LoadedModel(session, signatures, definitions, holds, lite)
            if self._warms_up and (path / WARMUP_PATH).exists():
                _warm_up(model, str(path / WARMUP_PATH))
        except BaseException:
            session.close()
            raise
        return model


def _lite_model(path: Path, signatures: dict[str, Signature]) -> LiteModel | None:
    """The folder's model.tflite, for `serving_default`; None where there is none.

    Raises `InputError` where it is none or has other inputs and outputs than the signature.
    """
    file = path / LITE_PATH
    if not file.exists():
        _log.info("version %s: no %s there; the SavedModel answers", path.name, LITE_PATH)
        return None
    try:
        model = LiteModel(file.read_bytes(), len(os.sched_getaffinity(0)))
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{file}: not a model for LiteRT: {error}") from None
    signature = signatures.get(DEFAULT_SIGNATURE)
    if signature is None or ({model.input}, model.outputs) != (
        set(signature.inputs),
        set(signature.outputs),
    ):
        raise InputError(
            f"{file}: takes {model.input} and answers {', '.join(sorted(model.outputs))}; expected "
            f"what {DEFAULT_SIGNATURE} of {GRAPH_PATH} takes and answers"
        )
    _log.info(
        "version %s: LiteRT answers %s from %s, the SavedModel other signatures",
        path.name,
        DEFAULT_SIGNATURE,
        LITE_PATH,
    )
    return model


def _warm_up(model: LoadedModel, path: str) -> None:
    for log in read_golden(path):
        if log.HasField("predict_log"):
            prepared = prepare(model.signatures, log.predict_log.request)
            model.run(prepared.signature, prepared.inputs)


def _download(base_path: str, version: int, directory: Path) -> None:
    source = release_uri(base_path, version)
    for name in (INFO_PATH, *read_release(base_path, version).files):
        target = directory / str(version) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.download(storage.join(source, name), target)


def _refusal(error: tf.errors.OpError) -> StatusError:
    # The session wraps the graph's own words in pages about where each operation was made.
    inner = error.__context__
    message = inner.message if isinstance(inner, tf.errors.OpError) else error.message
    code = _CODES.get(error.error_code, StatusCode.INTERNAL)
    return StatusError(code, message[:_LONGEST_MESSAGE])
