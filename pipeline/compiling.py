"""The compiled pipeline as a file."""

from pathlib import Path

from pipeline.settings import CompileSettings, RunSettings


def compile_pipeline(settings: CompileSettings, defaults: RunSettings, path: str | Path) -> None:
    """Write the compiled pipeline (KFP IR YAML); the same settings and code give the same bytes."""
    from kfp import compiler

    from pipeline.training import training_pipeline

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(training_pipeline(settings, defaults), str(path))
