"""The protobuf messages: identical to TensorFlow Serving's, and without TensorFlow."""

import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from PIL import Image

from emotion_ai.serving_api import make_descriptors, messages

from support.fake_prediction_server import fake_prediction_server
from support.photographs import portrait


def test_stored_descriptors_match_the_installed_package() -> None:
    stored = Path(make_descriptors.__file__).with_name("serving.binpb").read_bytes()
    installed = make_descriptors.installed_descriptors()
    assert FileDescriptorSet.FromString(stored) == installed
    assert {file.name for file in installed.file} > {
        "tensorflow_serving/apis/predict.proto",
        "tensorflow_serving/config/model_server_config.proto",
    }


def test_stored_inference_descriptors_match_the_installed_package() -> None:
    stored = Path(make_descriptors.__file__).with_name("inference.binpb").read_bytes()
    installed = make_descriptors.installed_inference_descriptors()
    assert FileDescriptorSet.FromString(stored) == installed


def test_messages_serialize_as_the_package_s() -> None:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    message = messages.PredictRequest(output_filter=["emotion"])
    message.model_spec.name = "emotion_ai"
    message.model_spec.version.value = 3
    message.inputs["images"].tensor_content = b"\x00\xff"
    parsed = PredictRequest.FromString(message.SerializeToString())
    assert parsed.model_spec.version.value == 3
    assert parsed.inputs["images"].tensor_content == b"\x00\xff"
    assert list(parsed.output_filter) == ["emotion"]


def test_client_and_server_modules_import_no_tensorflow() -> None:
    program = (
        "import emotion_ai.client.async_client, emotion_ai.client.drawing\n"
        "import emotion_ai.apps.predict.command, emotion_ai.rollouts.targets\n"
        "import emotion_ai.server.process, emotion_ai.server.server, sys\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'kfp', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_predict_imports_only_what_the_client_needs(tmp_path: Path) -> None:
    """Neither training nor output formats are imported, even when faces are detected."""
    photo = tmp_path / "portrait.png"
    Image.fromarray(portrait()).save(photo)
    with fake_prediction_server() as server:
        program = (
            "import sys\n"
            "from emotion_ai.client.client import Client\n"
            "light = {'rich', 'typer', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
            f"with Client({server.address!r}) as client:\n"
            f"    assert len(client.predict({str(photo)!r})) == 1\n"
            "heavy = {'tensorflow', 'keras', 'pandas', 'kfp', 'dlib', 'scipy'} & set(sys.modules)\n"
            "sys.exit(f'imported: {light | heavy}' if light | heavy else 0)\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
