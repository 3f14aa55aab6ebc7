"""A SavedModel in a TensorFlow session, its variables turned into constants. Imports TensorFlow.

The session is restored by the saver that the SavedModel names, exactly as TensorFlow Serving does
it (tensorflow/cc/saved_model/loader.cc): what would not load there does not load here. Constants
let TensorFlow fold the normalisation into the convolutions: a face takes a fifth less time.
"""

import logging
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from emotion_ai.errors import InputError
from emotion_ai.registry.releases import GRAPH_PATH

v1 = tf.compat.v1

_INITIALISATION = "__saved_model_init_op"
_log = logging.getLogger(__name__)


def open_session(path: Path, config: Any) -> tuple[Any, Any]:
    """The session of the SavedModel in a folder, and its MetaGraphDef; the caller closes it.

    Raises `InputError` where no graph is tagged to be served, and what TensorFlow raises.
    """
    meta_graph = _graph_to_serve(path)
    assets = {
        asset.tensor_info.name: str(path / "assets" / asset.filename)
        for asset in meta_graph.asset_file_def
    }
    session = _session(meta_graph.graph_def, config)
    try:
        saver = meta_graph.saver_def
        if saver.restore_op_name:
            prefix = {saver.filename_tensor_name: str(path / "variables" / "variables")}
            _run_operation(session, saver.restore_op_name, assets | prefix)
        _initialise(session, meta_graph, assets)
        constant = _with_constants(session, meta_graph, list(assets))
        if constant is None:
            return session, meta_graph
        frozen = _session(constant, config)
    except BaseException:
        session.close()
        raise
    session.close()
    try:
        _initialise(frozen, meta_graph, assets)
    except BaseException:
        frozen.close()
        raise
    return frozen, meta_graph


def _graph_to_serve(path: Path) -> Any:
    saved_model = saved_model_pb2.SavedModel.FromString((path / GRAPH_PATH).read_bytes())
    for graph in saved_model.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return graph
    raise InputError(f"{path}: no graph is tagged '{tf.saved_model.SERVING}'")


def _session(graph_def: Any, config: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.graph_util.import_graph_def(graph_def, name="")
    return v1.Session(graph=graph, config=config)


def _initialise(session: Any, meta_graph: Any, assets: dict[str, str]) -> None:
    if _INITIALISATION in meta_graph.signature_def:
        name = meta_graph.signature_def[_INITIALISATION].outputs[_INITIALISATION].name
        _run_operation(session, name.partition(":")[0], assets)


def _run_operation(session: Any, name: str, feeds: dict[str, str]) -> None:
    session.run(session.graph.get_operation_by_name(name), feeds)


def _with_constants(session: Any, meta_graph: Any, assets: list[str]) -> Any | None:
    """The graph of the signatures without variables; None where one is written to, or kept."""
    tensors = {
        info.name
        for signature in meta_graph.signature_def.values()
        for info in (*signature.inputs.values(), *signature.outputs.values())
    }
    names = sorted({tensor.partition(":")[0] for tensor in (*tensors, *assets)})
    graph_def = session.graph.as_graph_def()
    try:
        constant = v1.graph_util.convert_variables_to_constants(session, graph_def, names)
    except (ValueError, KeyError, tf.errors.OpError) as error:
        _log.info("the variables stay variables: %s", error)
        return None
    kept = any(node.op == "VarHandleOp" for node in constant.node)
    return None if kept else constant
