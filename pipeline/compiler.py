"""Compiles a pipeline to a file."""

from pathlib import Path
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import CompileSettings, RunSettings
from emotion_ai.storage.atomic_files import check_replaceable


def compile_pipeline(
    settings: CompileSettings,
    defaults: RunSettings,
    path: str | Path,
    pipeline: str = "training",
) -> None:
    """Write a compiled pipeline (KFP IR YAML); the same settings and code give the same bytes.

    Args:
        settings: Images, resources and retries of the tasks.
        defaults: Defaults of the pipeline's parameters.
        path: The file, NAME.yaml; its folder is created.
        pipeline: "training" or "rollout".

    Raises:
        InputError: The file is not named NAME.yaml, or cannot be made in that place.
        Unavailable: The file cannot be written.

    Example:
        environment = load_environment("cluster")
        compile_pipeline(environment.compile, load_run_settings("cluster"), "emotion-ai.yaml")
    """
    path = Path(path)
    if path.suffix != ".yaml":
        raise InputError(f"{path}: expected a name that ends in .yaml")
    check_replaceable(path)
    from kfp import compiler

    built = _build(pipeline, settings, defaults)
    try:
        with storage.translate_errors(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            compiler.Compiler().compile(built, str(path))
    except storage.NotFound:
        raise InputError(
            f"{path}: no file can be made there; name one in a folder of yours"
        ) from None


def _build(pipeline: str, settings: CompileSettings, defaults: RunSettings) -> Any:
    if pipeline == "rollout":
        from emotion_ai.pipeline.rollout import rollout_pipeline

        return rollout_pipeline(settings, defaults)
    from emotion_ai.pipeline.training import training_pipeline

    return training_pipeline(settings, defaults)
