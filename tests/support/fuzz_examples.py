"""Whole files of each kind that the readers of untrusted bytes read, for fuzzing to damage."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from emotion_ai import storage
from emotion_ai.faces.arrays import INFO_FILE, FacesInfo
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import pack_weights, spec_for
from emotion_ai.registry.champion import CONFIG_NAME, write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import INFO_PATH
from emotion_ai.serving_api.golden import Golden, write_golden

from support.face_csv import keypoint_cells, write_expression, write_keypoints
from support.minimal_release import write_minimal_release
from support.prepared_faces import write_faces

BATCHING = b"""
max_batch_size { value: 128 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: 8 }
allowed_batch_sizes: 128
thread_pool_name { value: "batches" }
"""


def picture_examples() -> list[bytes]:
    """Pictures in each format, in colours and in grays."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = []
    for form in ("JPEG", "PNG", "BMP", "GIF", "WEBP"):
        picture = io.BytesIO()
        Image.fromarray(pixels).save(picture, form, exif=exif.tobytes())
        encoded.append(picture.getvalue())
    for gray in (np.zeros((30, 30), np.uint16), np.zeros((30, 30), bool)):
        picture = io.BytesIO()
        Image.fromarray(gray).save(picture, "PNG")
        encoded.append(picture.getvalue())
    return encoded


def _compressed_forms(text: bytes) -> list[bytes]:
    zipped = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", method) as file:
            file.writestr("faces.csv", text)
        zipped.append(archive.getvalue())
    tars = []
    for mode in ("w:", "w:gz", "w:xz"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode=mode) as tar:
            member = tarfile.TarInfo("faces/faces.csv")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
        tars.append(archive.getvalue())
    others = [text.decode().encode("utf-16"), text.replace(b"\n", b"\r"), text.replace(b",", b";")]
    packed = [gzip.compress(text), bz2.compress(text), lzma.compress(text)]
    return [text, text, *packed, *zipped, *tars, *others]


def table_examples() -> tuple[list[bytes], list[bytes]]:
    """Tables of faces with expressions and with keypoints, in every form that is read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "faces.csv")
        usage = ["Training", "PublicTest"]
        expression = write_expression(path, [0, 6], usage).read_bytes()
        keypoints = write_keypoints(path, keypoint_cells(2)).read_bytes()
    return _compressed_forms(expression), _compressed_forms(keypoints)


def registry_examples() -> tuple[bytes, bytes]:
    """A registry's models.config, and a release's description."""
    with tempfile.TemporaryDirectory() as folder:
        files, draft = write_minimal_release(Path(folder, "export"), "a")
        registry = str(Path(folder, "registry"))
        publish(registry, files, draft)
        write_champion(registry, 1)
        return (
            storage.read_bytes(storage.join(registry, CONFIG_NAME), 1 << 20),
            storage.read_bytes(storage.join(registry, "1", INFO_PATH), 1 << 20),
        )


def checkpoint_state() -> bytes:
    """What a training notes beside its weights."""
    files = {"latest": "latest-00002.keras", "best": "best-00001.npz"}
    entries = [{"epoch": k, "loss": 1.5, "score": 0.5, "seconds": 3.25} for k in (1, 2)]
    state = {
        "epoch": 2,
        "best_epoch": 1,
        "best_score": 0.5,
        "history": entries,
        "files": {key: {"name": name, "sha256": "0" * 64} for key, name in files.items()},
    }
    return json.dumps(state).encode()


def faces_files() -> dict[str, bytes]:
    """The files of prepared faces by name."""
    with tempfile.TemporaryDirectory() as folder:
        faces = write_faces(Path(folder, "faces"), "expression")
        return {path.name: path.read_bytes() for path in faces.iterdir()}


def packed_weights(faces: dict[str, bytes]) -> bytes:
    """Weights of a network for these prepared faces."""
    spec = spec_for(FacesInfo.model_validate_json(faces[INFO_FILE]), TrainingSettings())
    return pack_weights(spec, [np.ones((3, 3, 1, 8), np.float32), np.zeros(8, np.float32)])


def packed_golden() -> bytes:
    """Golden faces with their answers."""
    golden = Golden(
        images=np.zeros((2, 96, 96, 1), np.uint8),
        keypoints=np.zeros((2, 15, 2), np.float32),
        emotion_probabilities=np.zeros((2, 2), np.float32),
        emotion=np.array(["happy", "sad"]),
        emotion_labels=np.array([["happy", "sad"]] * 2),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "golden.npz")
        write_golden(str(path), golden)
        return path.read_bytes()
