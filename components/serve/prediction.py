"""What Predict means: the checks and their order are those of TensorFlow Serving.

Source: tensorflow_serving/servables/tensorflow/predict_util.cc (RunPredict, PreProcessPrediction).
Imports TensorFlow.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from numpy.typing import NDArray

from components.predict.tensors import read_tensor
from components.serve.status import Refusal, invalid

if TYPE_CHECKING:
    from components.serve.model import LoadedModel

DEFAULT_SIGNATURE = "serving_default"
_CODES = {code.value[0]: code for code in StatusCode}


def predict(model: "LoadedModel", request: Any) -> dict[str, NDArray]:
    """Run the signature that a PredictRequest asks for; returns the outputs it wants, by name.

    Raises `Refusal`: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for inputs
    that are missing, unknown, of another type or shape, and for unknown or repeated outputs; and
    TensorFlow's own code for what fails within the graph.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in model.signatures:
        raise Refusal(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    signature = model.signature_defs[name]
    _check_names(set(request.inputs), set(signature.inputs))
    inputs = {
        alias: _input(alias, request.inputs[alias], info)
        for alias, info in signature.inputs.items()
    }
    wanted = _wanted_outputs(list(request.output_filter), set(signature.outputs))
    try:
        outputs = model.signatures[name](**inputs)
        return {alias: _array(outputs[alias]) for alias in wanted}
    except tf.errors.OpError as error:
        raise Refusal(_CODES.get(error.error_code, StatusCode.INTERNAL), error.message) from None


def _check_names(sent: set[str], expected: set[str]) -> None:
    if sent != expected:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_names(sent)}) != len({_names(expected)}). "
            f"Sent extra: {_names(sent - expected)}. "
            f"Missing but required: {_names(expected - sent)}."
        )


def _wanted_outputs(asked: list[str], there: set[str]) -> list[str]:
    for alias in asked:
        if alias not in there:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {_names(there)}."
            )
        if asked.count(alias) > 1:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return asked or sorted(there)


def _names(names: set[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _input(alias: str, proto: Any, info: Any) -> tf.Tensor:
    expected = tf.dtypes.as_dtype(info.dtype)
    if proto.dtype != info.dtype:
        sent = _dtype_name(proto.dtype)
        raise invalid(f"input {alias}: expected {expected.name}, but {sent} was sent")
    try:
        array = read_tensor(proto)
    except ValueError as error:
        raise invalid(f"tensor parsing error: {alias}: {error}") from None
    shape = tf.TensorShape(info.tensor_shape)
    if not shape.is_compatible_with(array.shape):
        raise invalid(f"input {alias}: expected shape {shape}, but {array.shape} was sent")
    return tf.convert_to_tensor(array, dtype=expected)


def _dtype_name(number: int) -> str:
    try:
        return str(tf.dtypes.as_dtype(number).name)
    except TypeError:
        return f"DataType {number}"


def _array(tensor: Any) -> NDArray:
    value = tensor.numpy()
    return np.asarray(value, dtype=object) if tensor.dtype == tf.string else np.asarray(value)
