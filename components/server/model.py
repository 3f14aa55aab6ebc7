"""Fetches, verifies, loads and warms up SavedModels. Imports TensorFlow."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.processors import available_cores
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    LITE_PATH,
    WARMUP_PATH,
    read_release,
    release_uri,
    verify_release_folder,
)
from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.graph_check import check_graph, check_lite_model
from emotion_ai.server.predict_request import parse_request
from emotion_ai.server.session import open_session, read_serving_graph
from emotion_ai.server.session_threads import run_options, session_config
from emotion_ai.server.signature import DEFAULT_SIGNATURE, Signature, parse_signature
from emotion_ai.serving_api.messages import SignatureDefMap
from emotion_ai.serving_api.warmup import read_warmup

_CODES = {code.value[0]: code for code in StatusCode}
# TensorFlow Serving's labels for runtimes in the metrics; it has none for LiteRT.
_TENSORFLOW, _LITE = "TF1", "TFLite"
_INTERNAL_SIGNATURES = "__saved_model_"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A loaded version.

    Attributes:
        session: The TensorFlow session with its graph.
        config: The session's `ConfigProto`.
        signatures: Its signatures by name.
        definitions: The `SignatureDefMap` for GetModelMetadata.
        resources: Objects that must live as long as the session.
        lite: Its model.tflite, where that runs `serving_default`.
    """

    session: Any
    config: Any
    signatures: dict[str, Signature]
    definitions: Any
    resources: tuple[Any, ...]
    lite: LiteModel | None = None

    def runtime(self, signature: Signature) -> str:
        """Return the metrics' name of the runtime that runs a signature."""
        is_lite = self.lite is not None and signature is self.signatures.get(DEFAULT_SIGNATURE)
        return _LITE if is_lite else _TENSORFLOW

    def run(self, signature: Signature, inputs: dict[str, NDArray]) -> dict[str, NDArray]:
        """Run a signature on a batch.

        Args:
            signature: One of the model's signatures.
            inputs: Arrays by alias, of the signature's dtypes and shapes.

        Returns:
            Every output by alias.

        Raises:
            StatusError: With the code of TensorFlow's error.
        """
        if self.lite is not None and self.runtime(signature) == _LITE:
            outputs = self.lite.run(inputs[self.lite.input])
            return {alias: outputs[alias] for alias in signature.outputs}
        feeds = {signature.inputs[alias].tensor: array for alias, array in inputs.items()}
        rows = len(next(iter(inputs.values()))) if signature.is_batched else 1
        options = run_options(self.config, rows)
        try:
            arrays = self.session.run(list(signature.outputs.values()), feeds, options)
        except tf.errors.OpError as error:
            raise _to_status_error(error) from None
        return dict(zip(signature.outputs, arrays, strict=True))

    def close(self) -> None:
        """Free the memory."""
        self.session.close()


class ModelLoader:
    """Loads versions, with the threads, runtime and warm-up that the flags set."""

    def __init__(self, flags: ServerFlags) -> None:
        self._run_warmup = flags.enable_model_warmup
        self._warmup_iterations = max(1, flags.num_request_iterations_for_warmup)
        self._tags = frozenset(flags.saved_model_tags.split(","))
        self._prefer_lite = flags.prefer_tflite_model
        self._allow_any_operation = flags.allow_any_operation
        self._only_releases = bool(flags.registry) and not flags.allow_unverified_releases
        self._session_config = session_config(flags)

    def __call__(self, base_path: str, version: int) -> LoadedModel:
        """Load `<base_path>/<version>` and replay its warm-up requests.

        A release's files are compared with its release.json first. Outside a registry, a SavedModel
        without one is loaded unverified, as TensorFlow Serving does.

        Args:
            base_path: Path or URI of the folder with the versions.
            version: The version to load.

        Raises:
            InputError: A file is missing or invalid.
            VerificationError: A file differs from the release's release.json.
            Exception: Whatever TensorFlow raises.
        """
        if storage.is_remote(base_path):
            uri = release_uri(base_path, version)
            if not storage.exists(storage.join(uri, GRAPH_PATH)):
                raise InputError(f"{uri}: no {GRAPH_PATH} there")
            scratch = tempfile.TemporaryDirectory(prefix="emotion-ai-release-")
            _download(base_path, version, Path(scratch.name))
            return self._load(Path(scratch.name, str(version)), version, (scratch,))
        return self._load(_find_folder(storage.local_path(base_path), version), version, ())

    def _load(self, path: Path, version: int, resources: tuple[Any, ...]) -> LoadedModel:
        if not (path / GRAPH_PATH).exists():
            raise InputError(f"{path}: no {GRAPH_PATH} there")
        if self._only_releases or (path / INFO_PATH).exists():
            verify_release_folder(str(path), version)
        meta_graph = read_serving_graph(path, self._tags)
        if not self._allow_any_operation:
            check_graph(meta_graph)
            check_lite_model(path / LITE_PATH)
        session = open_session(path, meta_graph, self._session_config)
        try:
            definitions = SignatureDefMap()
            for name, definition in meta_graph.signature_def.items():
                serialized = definition.SerializeToString()
                definitions.signature_def[name].ParseFromString(serialized)
            signatures = {
                name: parse_signature(definition)
                for name, definition in definitions.signature_def.items()
                # Such as the operation that initialises the model: no caller's business.
                if not name.startswith(_INTERNAL_SIGNATURES)
            }
            lite = _load_lite_model(path, signatures) if self._prefer_lite else None
            model = LoadedModel(
                session, self._session_config, signatures, definitions, resources, lite
            )
            if self._run_warmup and (path / WARMUP_PATH).exists():
                for _ in range(self._warmup_iterations):
                    _warm_up(model, str(path / WARMUP_PATH))
        except BaseException:
            session.close()
            raise
        return model


def _find_folder(base_path: Path, version: int) -> Path:
    """Return a version's folder, whose name may have leading zeros, as 00000001."""
    folder = base_path / str(version)
    if folder.exists():
        return folder
    padded = (path for path in base_path.glob(f"0*{version}") if path.name.isdecimal())
    return next((path for path in sorted(padded) if int(path.name) == version), folder)


def _load_lite_model(path: Path, signatures: dict[str, Signature]) -> LiteModel | None:
    """Load a version's model.tflite for `serving_default`; None if there is no such file.

    Raises:
        InputError: The file is invalid, or its inputs and outputs are not the signature's.
    """
    file = path / LITE_PATH
    if not file.exists():
        _log.info("version %s: no %s; the SavedModel serves every signature", path.name, LITE_PATH)
        return None
    try:
        model = LiteModel(file.read_bytes(), available_cores())
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{file}: not a TensorFlow Lite model: {error}") from None
    signature = signatures.get(DEFAULT_SIGNATURE)
    if signature is None or ({model.input}, model.outputs) != (
        set(signature.inputs),
        set(signature.outputs),
    ):
        raise InputError(
            f"{file}: input {model.input}, outputs {', '.join(sorted(model.outputs))}; expected "
            f"those of {DEFAULT_SIGNATURE} in {GRAPH_PATH}"
        )
    _log.info(
        "version %s: LiteRT serves %s from %s, the SavedModel other signatures",
        path.name,
        DEFAULT_SIGNATURE,
        LITE_PATH,
    )
    return model


def _warm_up(model: LoadedModel, path: str) -> None:
    for log in read_warmup(path):
        if log.HasField("predict_log"):
            parsed = parse_request(model.signatures, log.predict_log.request)
            model.run(parsed.signature, parsed.read())


def _download(base_path: str, version: int, directory: Path) -> None:
    source = release_uri(base_path, version)
    for name in (INFO_PATH, *read_release(base_path, version).files):
        target = directory / str(version) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.download(storage.join(source, name), target)


def _to_status_error(error: tf.errors.OpError) -> StatusError:
    # The session adds pages about where each operation was created to the graph's own message.
    inner = error.__context__
    message = inner.message if isinstance(inner, tf.errors.OpError) else error.message
    code = _CODES.get(error.error_code, StatusCode.INTERNAL)
    return StatusError(code, message)
