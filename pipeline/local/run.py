"""Run the compiled DAG on this machine: KFP's local runner, the embedded server, no cluster.

Everything a run leaves outside the registry lies in one workspace folder: compiled pipelines,
artifacts, the cache of steps, checkpoints and logs.
"""

import contextlib
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable, one_line
from emotion_ai.pipeline.local.example_faces import save_faces
from emotion_ai.pipeline.local.processes import terminate_children_on_exit
from emotion_ai.pipeline.local.progress import RunMonitor, Step, capture_run, display_names
from emotion_ai.pipeline.settings import RunSettings, load_environment
from emotion_ai.registry.runs import SUMMARY, read_records, run_uri
from emotion_ai.server.process import running_server
from emotion_ai.sources.uri import check_exists
from emotion_ai.steps.notify.run import summarise

WORKSPACE = Path(".emotion-ai")


@dataclass(frozen=True)
class LocalRun:
    """What became of a run: its steps, its record as notify wrote it, the answers it got."""

    run_id: str
    registry: str
    seconds: float
    steps: list[Step]
    record: dict[str, Any]
    page: str
    log: Path
    faces: list[Path]
    answers: list[dict[str, Any]]


def run_locally(
    settings: RunSettings,
    environment_name: str,
    on_change: Callable[[Step], None],
    runner: str = "subprocess",
) -> LocalRun:
    """Run the whole DAG with these settings, and ask the release that answers about a few faces.

    `runner` is "subprocess", or "docker" for each step in a container of its own image. Raises
    `InputError` for a mistake in settings or data, `Unavailable` where the world failed.
    """
    settings = _on_this_machine(settings)
    _check_places(settings)
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    started = time.monotonic()
    logs = WORKSPACE / "logs"
    with storage.translate_errors(str(logs)):
        logs.mkdir(parents=True, exist_ok=True)
    server_log = logs / f"{run_id}.server.log"
    with (
        _recorded_if_interrupted(settings.registry, run_id),
        terminate_children_on_exit(),
        running_server(settings.registry, server_log) as address,
    ):
        monitor = _run_dag(settings, environment_name, run_id, address, on_change, runner)
        record = _record(settings, run_id, monitor)
        faces = save_faces(settings.expression, settings.label_set, WORKSPACE / "faces")
        answers = _answers(faces, address) if record["champion"] else []
    return LocalRun(
        run_id=run_id,
        registry=settings.registry,
        seconds=time.monotonic() - started,
        steps=monitor.steps,
        record=record,
        page=storage.join(run_uri(settings.registry, run_id), "index.html"),
        log=logs / f"{run_id}.log",
        faces=faces,
        answers=answers,
    )


@contextlib.contextmanager
def _recorded_if_interrupted(registry: str, run_id: str) -> Iterator[None]:
    """Write the run's record where Ctrl-C or SIGTERM ends the block: then no step does."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        try:
            if SUMMARY not in read_records(registry, run_id):
                summarise({"state": "CANCELLED"}, registry, run_id)
        except (InputError, Unavailable) as failure:
            sys.stderr.write(f"emotion-ai: run {run_id} has no record: {one_line(failure)}\n")
        raise


def _answers(faces: list[Path], address: str) -> list[dict[str, Any]]:
    with Client(address, faces="whole") as client:
        predictions = client.predict_many(faces)
        return [{"file": p.source} | f.as_dict() for p in predictions for f in p.faces]


def _on_this_machine(settings: RunSettings) -> RunSettings:
    if settings.serving.target != "local":
        raise InputError(
            f"setting run.serving.target = {settings.serving.target!r}: a run on this machine "
            "rolls out on the local target; submit the compiled pipeline for any other"
        )
    places = {name: getattr(settings, name) for name in ("keypoints", "expression", "registry")}
    places["checkpoints"] = settings.checkpoints or str(WORKSPACE / "checkpoints")
    # Absolute, so that the cache knows a file again from whichever folder it is named.
    absolute = {
        name: uri if "://" in uri else str(Path(uri).absolute()) for name, uri in places.items()
    }
    return settings.model_copy(update=absolute)


def _check_places(settings: RunSettings) -> None:
    """What the first steps would say of the sources and the registry, before a server is up."""
    for source in (settings.keypoints, settings.expression):
        check_exists(source)
    # Not there yet is fine; a file, or a bucket that is not there, is not.
    storage.list_names(settings.registry)


def _run_dag(
    settings: RunSettings,
    environment_name: str,
    run_id: str,
    server: str,
    on_change: Callable[[Step], None],
    runner: str,
) -> RunMonitor:
    from kfp import local
    from kfp.components import load_component_from_file

    from emotion_ai.pipeline.compiler import compile_pipeline

    compiled = WORKSPACE / "pipeline.yaml"
    serving = settings.serving.model_copy(update={"server": server})
    settings = settings.model_copy(update={"serving": serving})
    compile_pipeline(load_environment(environment_name).compile, settings, compiled)
    spec = next(yaml.safe_load_all(compiled.read_text()))
    artifacts = WORKSPACE / "artifacts"
    artifacts.mkdir(exist_ok=True)
    with (
        _kfp_runner(runner, settings, spec) as kfp_runner,
        (WORKSPACE / "logs" / f"{run_id}.log").open("w") as log,
    ):
        local.init(
            kfp_runner,
            pipeline_root=str(artifacts),
            enable_caching=True,
            cache_root=str(WORKSPACE / "cache"),
        )
        monitor = RunMonitor(display_names(spec), log, on_change)
        with capture_run(monitor):
            try:
                load_component_from_file(str(compiled))(run_name=run_id)
            except RuntimeError as error:
                # How kfp.local says that the pipeline failed; the log has the steps' own words.
                monitor.failure = monitor.failure or (1, str(error))
    return monitor


def _kfp_runner(name: str, settings: RunSettings, spec: dict[str, Any]) -> Any:
    """A context that gives KFP's runner of this name."""
    if name == "docker":
        from emotion_ai.pipeline.local.containers import step_containers

        executors = spec["deploymentSpec"]["executors"].values()
        return step_containers(settings, {executor["container"]["image"] for executor in executors})
    from kfp import local

    return contextlib.nullcontext(local.SubprocessRunner(use_venv=False))


def _record(settings: RunSettings, run_id: str, monitor: RunMonitor) -> dict[str, Any]:
    """The run's record. The runner's word is not enough: the record must say how the run ended."""
    failed = [
        step.name for step in monitor.steps if step.state != "done" and step.state != "cached"
    ]
    record = read_records(settings.registry, run_id).get(SUMMARY, {})
    if monitor.failure or failed or record.get("outcome") not in ("accepted", "rejected"):
        code, message = monitor.failure or (1, record.get("message", "the run left no record"))
        where = f"step {failed[0]}: " if failed else ""
        failure = InputError if code == InputError.exit_code else Unavailable
        raise failure(f"{where}{message} (log: {WORKSPACE}/logs/{run_id}.log)")
    if record["outcome"] == "accepted" and "rollout" not in record["steps"]:
        raise Unavailable(f"run {run_id}: release {record['release']} was not rolled out")
    return record
