"""A SavedModel that reaches beyond itself is not loaded, wherever in its graph it does so."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import InputError


def _save(folder: Path, function: Any, module: Any = None) -> Path:
    import tensorflow as tf

    module = module or tf.Module()
    module.function = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string, "x")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.function})
    return folder


def _load(folder: Path) -> Any:
    """Load a SavedModel as the server does; returns what it makes of the word "sad"."""
    import tensorflow as tf

    from emotion_ai.server.graph_check import check_graph
    from emotion_ai.server.session import open_session, read_serving_graph

    meta_graph = read_serving_graph(folder)
    check_graph(meta_graph)
    session = open_session(folder, meta_graph, tf.compat.v1.ConfigProto())
    signature = meta_graph.signature_def["serving_default"]
    (source,), (target,) = signature.inputs.values(), signature.outputs.values()
    try:
        return session.run(target.name, {source.name: [b"sad"]}).tolist()
    finally:
        session.close()


def _reads_a_file(x: Any) -> Any:
    import tensorflow as tf

    return {"y": tf.map_fn(tf.io.read_file, x)}


def _reads_in_a_branch(x: Any) -> Any:
    import tensorflow as tf

    @tf.function
    def read() -> Any:
        return tf.io.read_file(x[0])

    return {"y": tf.cond(tf.size(x) > 7, read, lambda: tf.constant(""))}


def _writes_a_file(x: Any) -> Any:
    import tensorflow as tf

    with tf.control_dependencies([tf.io.write_file("written", "owned")]):
        return {"y": tf.identity(x)}


def _prints_to_a_file(x: Any) -> Any:
    import tensorflow as tf

    tf.print(x, output_stream="file://written")
    return {"y": x}


def _calls_python(x: Any) -> Any:
    import tensorflow as tf

    return {"y": tf.numpy_function(lambda value: value, [x], tf.string)}


def _saves_variables(x: Any) -> Any:
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix="written", tensor_names=["x"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
    )
    return {"y": x}


def _reads_a_data_set(x: Any) -> Any:
    import tensorflow as tf

    return {"y": tf.data.TextLineDataset(x).reduce("", lambda old, line: line)[None]}


HARMFUL = {
    _reads_a_file: "ReadFile",
    _reads_in_a_branch: "ReadFile",
    _writes_a_file: "WriteFile",
    _prints_to_a_file: "PrintV2",
    _calls_python: "(Eager)?PyFunc",
    _saves_variables: "SaveV2",
    _reads_a_data_set: "TensorSliceDataset|TextLineDataset|ReduceDataset",
}


@pytest.mark.parametrize("function", HARMFUL)
def test_graph_that_reaches_beyond_the_model_is_not_loaded(
    tmp_path: Path, function: Callable[[Any], Any]
) -> None:
    folder = _save(tmp_path / "1", function)
    with pytest.raises(InputError, match=f"operation ({HARMFUL[function]}) .*allow_any_operation"):
        _load(folder)
    assert not Path("written").exists()


def _prints(x: Any) -> Any:
    import tensorflow as tf

    tf.print(x)
    return {"y": tf.strings.upper(x)}


def test_graph_that_computes_is_loaded(tmp_path: Path) -> None:
    import tensorflow as tf

    # What saves the variables is in the graph, and nothing that the server runs reaches it.
    module = tf.Module()
    module.variable = tf.Variable(1.0)
    folder = _save(tmp_path / "1", _prints, module)
    assert b"SaveV2" in (folder / "saved_model.pb").read_bytes()
    assert _load(folder) == [b"SAD"]


def test_graph_whose_restoring_writes_is_not_loaded(tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    folder = _save(tmp_path / "1", _prints)
    path = folder / "saved_model.pb"
    saved_model = SavedModel.FromString(path.read_bytes())
    graph = saved_model.meta_graphs[0]
    graph.graph_def.node.add(name="delete", op="MergeV2Checkpoints")
    (restore,) = [n for n in graph.graph_def.node if n.name == graph.saver_def.restore_op_name]
    restore.input.append("^delete")
    path.write_bytes(saved_model.SerializeToString())
    with pytest.raises(InputError, match="operation MergeV2Checkpoints"):
        _load(folder)


def _save_with_words(folder: Path, words: Path) -> Path:
    import tensorflow as tf

    words.write_text("happy\nsad\n")
    lookup = tf.lookup
    module = tf.Module()
    module.table = lookup.StaticHashTable(
        lookup.TextFileInitializer(
            str(words),
            tf.string,
            lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )
    _save(folder, lambda x: {"y": module.table.lookup(x)}, module)
    words.unlink()
    return folder


def test_words_of_an_asset_are_read(tmp_path: Path) -> None:
    assert _load(_save_with_words(tmp_path / "1", tmp_path / "words.txt")) == [1]


def test_words_of_another_file_are_not_read(tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    folder = _save_with_words(tmp_path / "1", tmp_path / "words.txt")
    path = folder / "saved_model.pb"
    saved_model = SavedModel.FromString(path.read_bytes())
    # Its path is a constant then.
    del saved_model.meta_graphs[0].asset_file_def[:]
    path.write_bytes(saved_model.SerializeToString())
    with pytest.raises(InputError, match="operation InitializeTableFromTextFileV2"):
        _load(folder)


@pytest.mark.parametrize("name", ["../saved_model.pb", "/etc/passwd", "absent.txt", "", ".."])
def test_assets_are_files_of_their_folder(tmp_path: Path, name: str) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    folder = _save_with_words(tmp_path / "1", tmp_path / "words.txt")
    path = folder / "saved_model.pb"
    saved_model = SavedModel.FromString(path.read_bytes())
    saved_model.meta_graphs[0].asset_file_def[0].filename = name
    path.write_bytes(saved_model.SerializeToString())
    with pytest.raises(InputError, match=re.escape("expected an asset, a file in")):
        _load(folder)


def test_asset_that_is_a_link_out_is_not_read(tmp_path: Path) -> None:
    folder = _save_with_words(tmp_path / "1", tmp_path / "words.txt")
    (tmp_path / "secret").write_text("secret")
    (folder / "assets" / "words.txt").unlink()
    (folder / "assets" / "words.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=re.escape("expected an asset, a file in")):
        _load(folder)


def test_lite_model_with_operations_of_tensorflow_is_not_loaded(tmp_path: Path) -> None:
    import tensorflow as tf

    from emotion_ai.server.graph_check import check_lite_model

    @tf.function(input_signature=[tf.TensorSpec([1], tf.string, "x")])
    def read(x: Any) -> Any:
        return tf.io.read_file(x[0])

    converter = tf.lite.TFLiteConverter.from_concrete_functions([read.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    with pytest.raises(InputError, match=re.escape("model.tflite: has operations of TensorFlow")):
        check_lite_model(path)
    check_lite_model(tmp_path / "absent.tflite")
