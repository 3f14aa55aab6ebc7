"""The compiled pipeline as a file."""

from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import CompileSettings, RunSettings


def compile_pipeline(settings: CompileSettings, defaults: RunSettings, path: str | Path) -> None:
    """Write the compiled pipeline (KFP IR YAML); the same settings and code give the same bytes.

    Raises `InputError` for a file that is not named NAME.yaml, `Unavailable` where it cannot be
    written.
    """
    if Path(path).suffix != ".yaml":
        raise InputError(f"{path}: expected a name that ends in .yaml")
    from kfp import compiler

    from emotion_ai.pipeline.training import training_pipeline

    with storage.translate_errors(str(path)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        compiler.Compiler().compile(training_pipeline(settings, defaults), str(path))
