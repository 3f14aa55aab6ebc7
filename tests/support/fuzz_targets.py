"""Fuzz targets: the readers of untrusted bytes, each with a strategy for its cases.

A case may be read, or rejected as bad input; anything else is a defect.
"""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from emotion_ai.client.images import read_image
from emotion_ai.errors import EmotionAIError, InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.kinds import KindName
from emotion_ai.networks.weights import read_weights
from emotion_ai.pipeline.settings import (
    Environment,
    RunSettings,
    load_environment,
    load_run_settings,
)
from emotion_ai.registry.champion import CONFIG_NAME, read_champion
from emotion_ai.registry.releases import INFO_PATH, list_versions, verify_release
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.configuration import ConfigSource, plan_models
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.parameter_files import read_parameters
from emotion_ai.serving_api.golden import read_golden
from emotion_ai.settings import restore_integers, validate_settings
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import open_table, read_blocks
from emotion_ai.sources.subjects import read_subjects

from support.face_csv import FER7
from support.fuzz_examples import (
    BATCHING,
    checkpoint_state,
    faces_files,
    packed_golden,
    packed_weights,
    picture_examples,
    registry_examples,
    table_examples,
)

_TOKENS = [b"\0", b"\n", b",", b'"', b" ", b"nan", b"-1", b"1e309", b"9" * 30, b"\xff\xff\xff\xff"]

DAMAGED_ARRAY = "targets-00000.npy"


class Target(NamedTuple):
    """A reader under test: its cases, and the function that reads one case in an empty folder."""

    cases: SearchStrategy[bytes]
    read: Callable[[Path, bytes], Any]


def check_case(target: Target, case: bytes) -> None:
    """Read one case; raise only what would be a defect."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(EmotionAIError):
        target.read(Path(folder), case)


def damaged(examples: list[bytes]) -> SearchStrategy[bytes]:
    """Draw one of the examples, damaged by a few cuts and replacements."""

    def damage(example: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
        for position, cut, inserted in changes:
            start = int(position * len(example))
            example = example[:start] + inserted + example[start + cut :]
        return example

    inserted = st.one_of(st.sampled_from(_TOKENS), st.binary(max_size=8))
    # Headers are at the start, a zip's directory is at the end.
    position = st.one_of(st.floats(0, 1), st.floats(0, 0.02), st.floats(0.98, 1))
    changes = st.lists(st.tuples(position, st.integers(0, 40), inserted), min_size=1, max_size=6)
    return st.builds(damage, st.sampled_from(examples), changes)


def _read_table(kind: KindName) -> Callable[[Path, bytes], None]:
    def read(folder: Path, case: bytes) -> None:
        path = folder / "faces.csv"
        path.write_bytes(case)
        for block in read_blocks(open_table(str(path), kind), FER7, DataChecks()):
            assert block.rows.images.dtype == np.uint8
            assert len(block.rows) + len({bad.row for bad in block.bad}) == block.rows_read

    return read


def _read_subjects(folder: Path, case: bytes) -> None:
    (folder / "faces.subjects.csv").write_bytes(case)
    subjects = read_subjects(str(folder / "faces.csv"), 1000)
    assert subjects is not None
    assert len(subjects) <= 1000
    assert len(subjects) == 0 or subjects.min() >= -1


def _read_picture(folder: Path, case: bytes) -> None:
    (folder / "face").write_bytes(case)
    assert read_image(folder / "face").shape[2] == 3


def _read_config(folder: Path, case: bytes) -> None:
    (folder / CONFIG_NAME).write_bytes(case)
    with contextlib.suppress(InputError):
        assert (read_champion(str(folder)) or 1) >= 1
    config = ConfigSource(ServerFlags(registry=str(folder))).read()
    if config is not None:
        plan_models(config)


def _read_parameters(folder: Path, case: bytes) -> None:
    path = folder / "parameters"
    path.write_bytes(case)
    for kind in ("MonitoringConfig", "SSLConfig"):
        with contextlib.suppress(InputError):
            read_parameters(kind, str(path))
    parameters = read_parameters("BatchingParameters", str(path))
    assert BatchPolicy.from_parameters(parameters, cores=2).num_threads > 0


def _read_release(folder: Path, case: bytes) -> None:
    path = folder / "1" / INFO_PATH
    path.parent.mkdir(parents=True)
    path.write_bytes(case)
    assert list_versions(str(folder)) == []
    verify_release(str(folder), 1)


def _read_checkpoint(folder: Path, case: bytes) -> None:
    # Imports Keras.
    from emotion_ai.networks import checkpoints

    (folder / "state.json").write_bytes(case)
    assert checkpoints.load(str(folder)) is None


def _read_weights(folder: Path, case: bytes) -> None:
    path = folder / "weights.npz"
    path.write_bytes(case)
    assert all(array.dtype == np.float32 for array in read_weights(str(path))[1])


def _read_golden(folder: Path, case: bytes) -> None:
    path = folder / "golden.npz"
    path.write_bytes(case)
    assert read_golden(str(path)).images.shape[1:] == (96, 96, 1)


def _read_faces(files: dict[str, bytes]) -> Callable[[Path, bytes], None]:
    def read(folder: Path, case: bytes) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(case if name == DAMAGED_ARRAY else content)
        faces = Faces(folder)
        assert len(faces.take(np.arange(len(faces))).targets) == len(faces)

    return read


def _read_json(folder: Path, case: bytes) -> None:
    # KFP passes on what is JSON alone.
    with contextlib.suppress(ValueError, RecursionError):
        values = json.loads(case)
        if isinstance(values, dict):
            validate_settings(RunSettings, restore_integers(values), "run")


def _read_environment(folder: Path, case: bytes) -> None:
    path = folder / "test.yaml"
    path.write_bytes(case)
    try:
        load_run_settings(str(path))
    finally:
        load_environment.cache_clear()


def fuzz_targets() -> dict[str, Target]:
    """Return the targets by name."""
    expression, keypoints = table_examples()
    config, release = registry_examples()
    faces = faces_files()
    settings = RunSettings().model_dump_json().encode()
    environments = [
        Environment().model_dump_json().encode(),
        b"preset: quick\ncompile: {retries: 2}\n"
        b"run:\n  seed: 3\n  gate: {keypoints: {rmse_px: 2}}\n"
        b"  registry: !!str gs://models\n  checks: {duplicates: 0.1, max_rows: 0x10}\n",
    ]
    return {
        "expression": Target(damaged(expression), _read_table("expression")),
        "keypoints": Target(damaged(keypoints), _read_table("keypoints")),
        "subjects": Target(damaged([b"row,subject\n0,1\n5,2\n"]), _read_subjects),
        "picture": Target(damaged(picture_examples()), _read_picture),
        "parameters": Target(damaged([BATCHING]), _read_parameters),
        "models.config": Target(damaged([config]), _read_config),
        "release.json": Target(damaged([release]), _read_release),
        "checkpoint": Target(damaged([checkpoint_state()]), _read_checkpoint),
        "weights": Target(damaged([packed_weights(faces)]), _read_weights),
        "golden": Target(damaged([packed_golden()]), _read_golden),
        "faces": Target(damaged([faces[DAMAGED_ARRAY]]), _read_faces(faces)),
        "settings": Target(damaged([settings]), _read_json),
        "environment": Target(damaged(environments), _read_environment),
    }
