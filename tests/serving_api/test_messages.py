"""The client's messages: TensorFlow Serving's own, and no TensorFlow behind them."""

import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from PIL import Image

from emotion_ai.serving_api import make_descriptors, messages

from support.fake_prediction_server import fake_prediction_server
from support.photographs import portrait


def test_the_stored_descriptors_are_those_of_the_installed_package() -> None:
    stored = Path(make_descriptors.__file__).with_name("serving.binpb").read_bytes()
    installed = make_descriptors.installed_descriptors()
    assert FileDescriptorSet.FromString(stored) == installed
    assert {file.name for file in installed.file} > {
        "tensorflow_serving/apis/predict.proto",
        "tensorflow_serving/config/model_server_config.proto",
    }


def test_a_message_is_the_same_on_the_wire_as_the_package_s() -> None:
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    ours = messages.PredictRequest(output_filter=["emotion"])
    ours.model_spec.name = "emotion_ai"
    ours.model_spec.version.value = 3
    ours.inputs["images"].tensor_content = b"\x00\xff"
    theirs = PredictRequest.FromString(ours.SerializeToString())
    assert theirs.model_spec.version.value == 3
    assert theirs.inputs["images"].tensor_content == b"\x00\xff"
    assert list(theirs.output_filter) == ["emotion"]


def test_the_client_and_the_server_s_entry_import_no_tensorflow() -> None:
    program = (
        "import emotion_ai.client.async_client, emotion_ai.client.drawing\n"
        "import emotion_ai.apps.predict.command, emotion_ai.rollouts.targets\n"
        "import emotion_ai.server.process, emotion_ai.server.server, sys\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'kfp', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_photograph_is_asked_about_without_anything_heavy(tmp_path: Path) -> None:
    """To the very answer, with only what the client needs: nothing of training, nor of output."""
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
