"""Fixtures of the tests that publish: an API server, and two versions of the pipeline."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.settings import CompileSettings, load_run_settings

from support.kfp_api_http import running_kfp_api_server
from support.kfp_api_server import KfpApiServer


@pytest.fixture
def kfp(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpApiServer]:
    """An empty API server of Kubeflow Pipelines."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running_kfp_api_server() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> str:
    """An environment's file that names no example; `emotion-ai publish` takes no other."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "preset: quick\ncompile: {image: registry.test/ours}\nrun: {registry: gs://ours}\n"
    )
    return str(path)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two versions of the compiled pipeline."""
    folder = tmp_path_factory.mktemp("packages")
    settings = load_run_settings("cluster", flags={"registry": "gs://ours", "checkpoints": ""})
    for name, retries in (("old", 1), ("new", 2)):
        compile_pipeline(CompileSettings(retries=retries), settings, folder / f"{name}.yaml")
    return folder / "old.yaml", folder / "new.yaml"
