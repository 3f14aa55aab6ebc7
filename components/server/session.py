"""Loads a SavedModel into a TensorFlow session with constant variables. Imports TensorFlow.

The session is restored by the saver that the SavedModel names, exactly as in TensorFlow Serving
(tensorflow/cc/saved_model/loader.cc): what does not load there does not load here. Constants let
TensorFlow fold batch normalisation into the convolutions, and a single face takes a fifth less
time.
"""

import logging
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from emotion_ai.errors import InputError
from emotion_ai.registry.releases import GRAPH_PATH
from emotion_ai.server.graph_check import asset_path
from emotion_ai.storage.local import open_regular

v1 = tf.compat.v1

_INIT_OP_KEY = "__saved_model_init_op"
_log = logging.getLogger(__name__)


def read_serving_graph(path: Path, tags: frozenset[str] = frozenset({"serve"})) -> Any:
    """Read the `MetaGraphDef` of a SavedModel's folder that has these tags.

    Raises:
        InputError: There is none, or the file is not a SavedModel.
        OSError: The file cannot be read.
    """
    try:
        with open_regular(path / GRAPH_PATH) as file:
            saved_model = saved_model_pb2.SavedModel.FromString(file.read())
    except DecodeError:
        raise InputError(f"{path / GRAPH_PATH}: not a SavedModel") from None
    for graph in saved_model.meta_graphs:
        if set(graph.meta_info_def.tags) == tags:
            return graph
    raise InputError(f"{path}: no graph is tagged '{','.join(sorted(tags))}'")


def open_session(path: Path, meta_graph: Any, config: Any) -> Any:
    """Load a SavedModel.

    Args:
        path: The SavedModel's folder.
        meta_graph: Its `MetaGraphDef`; see `read_serving_graph`.
        config: A `tf.compat.v1.ConfigProto`.

    Returns:
        The session, which the caller closes.

    Raises:
        InputError: An asset is missing or outside of the folder.
        Exception: Whatever TensorFlow raises.
    """
    assets = {
        asset.tensor_info.name: asset_path(path, asset.filename)
        for asset in meta_graph.asset_file_def
    }
    session = _create_session(meta_graph.graph_def, config)
    try:
        saver = meta_graph.saver_def
        if saver.restore_op_name:
            prefix = {saver.filename_tensor_name: str(path / "variables" / "variables")}
            _run_operation(session, saver.restore_op_name, assets | prefix)
        _run_init_op(session, meta_graph, assets)
        constant_graph = _freeze_variables(session, meta_graph, list(assets))
        if constant_graph is None:
            return session
        frozen = _create_session(constant_graph, config)
    except BaseException:
        session.close()
        raise
    session.close()
    try:
        _run_init_op(frozen, meta_graph, assets)
    except BaseException:
        frozen.close()
        raise
    return frozen


def _create_session(graph_def: Any, config: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return v1.Session(graph=graph, config=config)


def _run_init_op(session: Any, meta_graph: Any, assets: dict[str, str]) -> None:
    if _INIT_OP_KEY in meta_graph.signature_def:
        name = meta_graph.signature_def[_INIT_OP_KEY].outputs[_INIT_OP_KEY].name
        _run_operation(session, name.partition(":")[0], assets)


def _run_operation(session: Any, name: str, feeds: dict[str, str]) -> None:
    session.run(session.graph.get_operation_by_name(name), feeds)


def _freeze_variables(session: Any, meta_graph: Any, assets: list[str]) -> Any | None:
    """Return the signatures' graph with constants for variables; None if a variable must stay."""
    tensors = {
        info.name
        for signature in meta_graph.signature_def.values()
        for info in (*signature.inputs.values(), *signature.outputs.values())
    }
    names = sorted({tensor.partition(":")[0] for tensor in (*tensors, *assets)})
    graph_def = session.graph.as_graph_def()
    try:
        # AttributeError: a variable of type string, such as the path of an asset.
        frozen = v1.graph_util.convert_variables_to_constants(session, graph_def, names)
    except (ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        _log.info("the variables cannot become constants: %s", error)
        return None
    has_variables = any(node.op == "VarHandleOp" for node in frozen.node)
    return None if has_variables else frozen
