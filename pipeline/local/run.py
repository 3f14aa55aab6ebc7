"""Run the compiled DAG on this machine with KFP's local runner, and roll out here or in a cluster.

Everything that a run writes outside the registry is in one workspace folder. The compiled pipeline,
the faces and the logs are in folders or files of the run's own, since others may run at the same
time; artifacts, the cache of steps and checkpoints are shared by all runs.
"""

import contextlib
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.networks.answers import is_bank
from emotion_ai.pipeline.cluster_settings import ClusterSettings
from emotion_ai.pipeline.local.example_faces import save_example_faces
from emotion_ai.pipeline.local.processes import (
    terminate_children_on_exit,
    terminate_steps_on_error,
)
from emotion_ai.pipeline.local.progress import Failure, RunMonitor, Step, capture_run, display_names
from emotion_ai.pipeline.local.records import record_interruption, require_completed
from emotion_ai.pipeline.local.target import check_target, open_client, running_target
from emotion_ai.pipeline.parameters import training_parameters
from emotion_ai.pipeline.settings import RunSettings, load_environment
from emotion_ai.registry.runs import run_uri
from emotion_ai.rollouts.settings import TlsFiles
from emotion_ai.steps.resolve.checks import check_settings, check_storages
from emotion_ai.storage.atomic_files import make_private_folder

WORKSPACE = Path(".emotion-ai")


@dataclass(frozen=True)
class LocalRun:
    """A run that ended as accepted or rejected.

    Attributes:
        run_id: Name of the run's folder in the registry.
        registry: Absolute path or gs:// URI.
        seconds: Duration of the run.
        steps: The executed steps, in order.
        record: The run's record, as the step notify wrote it.
        page: URI of the run's HTML page.
        log: The log of the steps.
        faces: Pictures of the faces that the release was asked about.
        predictions: The release's predictions for them, for JSON; empty if no release serves.
        namespace: Where the release serves in a cluster; "" on target local.
        tls: How its servers are asked in a cluster; None for plain text.
    """

    run_id: str
    registry: str
    seconds: float
    steps: list[Step]
    record: dict[str, Any]
    page: str
    log: Path
    faces: list[Path]
    predictions: list[dict[str, Any]]
    namespace: str = ""
    tls: TlsFiles | None = None


def run_locally(
    settings: RunSettings,
    environment: str,
    on_change: Callable[[Step], None],
    runner: str = "subprocess",
) -> LocalRun:
    """Run the whole DAG, and predict a few faces with the release that serves afterwards.

    Args:
        settings: The settings of the run.
        environment: Name or path of the environment to compile for.
        on_change: Called with a step when it starts, prints a line or ends.
        runner: "subprocess", or "docker" for each step in a container of its image.

    Raises:
        InputError: Settings or data are invalid. Or the target is a cluster that is not prepared
            for a rollout; nothing has run then.
        Unavailable: A step, a storage, the cluster or the container engine failed.

    Example:
        settings = load_run_settings("local")
        run = run_locally(settings, "local", lambda step: print(step.name, step.state))
    """
    _require_no_cluster(environment)
    settings = with_absolute_paths(settings)
    _check_run(settings, runner)
    # It takes as long as the server's start, which is waited for.
    threading.Thread(target=_import_kfp).start()
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"
    started = time.monotonic()
    log = _log_path(run_id)
    with storage.translate_errors(str(log.parent)):
        # Faces are in it. Earlier versions made it for all to read.
        make_private_folder(WORKSPACE)
        WORKSPACE.chmod(0o700)
        log.parent.mkdir(exist_ok=True)
    with (
        record_interruption(settings.registry, run_id),
        terminate_children_on_exit(),
        running_target(settings, log.with_suffix(".server.log")) as settings,
    ):
        monitor = _run_dag(settings, environment, run_id, on_change, runner)
        record = require_completed(settings.registry, run_id, monitor, log)
        faces = save_example_faces(
            settings.expression,
            settings.label_set,
            _run_folder(run_id) / "faces",
            settings.emotions,
        )
        predictions = _predict(faces, settings) if record["champion"] else []
    in_cluster = settings.serving.target == "kubernetes"
    return LocalRun(
        run_id=run_id,
        registry=settings.registry,
        seconds=time.monotonic() - started,
        steps=monitor.steps,
        record=record,
        page=storage.join(run_uri(settings.registry, run_id), "index.html"),
        log=log,
        faces=faces,
        predictions=predictions,
        namespace=settings.serving.rollout.namespace if in_cluster else "",
        tls=settings.serving.rollout.tls,
    )


def _import_kfp() -> None:
    from emotion_ai.pipeline.local import side_by_side  # noqa: F401


def _run_folder(run_id: str) -> Path:
    return WORKSPACE / "runs" / run_id


def _log_path(run_id: str) -> Path:
    return WORKSPACE / "logs" / f"{run_id}.log"


def _predict(faces: list[Path], settings: RunSettings) -> list[dict[str, Any]]:
    with open_client(settings) as client:
        photos = client.predict_many(faces)
        return [{"file": photo.source} | face.as_dict() for photo in photos for face in photo.faces]


def _require_no_cluster(environment: str) -> None:
    if load_environment(environment).compile.cluster != ClusterSettings():
        raise InputError(
            f"setting compile.cluster of environment {environment}: steps on this machine have no "
            "pods; leave it out, or submit the compiled pipeline"
        )


def with_absolute_paths(settings: RunSettings) -> RunSettings:
    """Make paths absolute, so that the cache knows a file from whichever folder it is named."""
    uris = {name: getattr(settings, name) for name in ("keypoints", "expression", "registry")}
    uris["checkpoints"] = settings.checkpoints or str(WORKSPACE / "checkpoints")
    absolute = {
        name: uri if "://" in uri else str(storage.local_path(uri).absolute())
        for name, uri in uris.items()
    }
    teachers = tuple(_absolute_bank(teacher) for teacher in settings.teachers)
    return settings.model_copy(update={**absolute, "teachers": teachers})


def _absolute_bank(teacher: str) -> str:
    """Make the path of an answer bank absolute; the name of a release stays."""
    if "://" in teacher or not is_bank(teacher):
        return teacher
    return str(storage.local_path(teacher).absolute())


def _check_run(settings: RunSettings, runner: str) -> None:
    """Report what the first step would report, before a server is started or a file is written."""
    parameters = training_parameters(settings)
    # The server of target local is not there yet.
    del parameters["server"]
    sources = settings.keypoints, settings.expression
    check_settings(*sources, parameters)
    check_target(settings, runner)
    for name in ("", "artifacts", "cache", "logs", "runs"):
        storage.check_writable(str(WORKSPACE / name))
    check_storages(*sources, settings.registry, parameters)


def _run_dag(
    settings: RunSettings,
    environment: str,
    run_id: str,
    on_change: Callable[[Step], None],
    runner: str,
) -> RunMonitor:
    from kfp import local
    from kfp.components import load_component_from_file

    from emotion_ai.pipeline.local.side_by_side import run_side_by_side

    compiled = _run_folder(run_id) / "pipeline.yaml"
    spec = _compile(environment, settings, compiled)
    artifacts = WORKSPACE / "artifacts"
    artifacts.mkdir(exist_ok=True)
    path = _log_path(run_id)
    # It is closed below: that a disk is full may be told only then.
    log = path.open("w", encoding="utf-8")
    monitor = RunMonitor(display_names(spec), log, on_change)
    try:
        with (
            log,
            capture_run(monitor),
            _silent_when_interrupted(monitor),
            run_side_by_side(),
            _kfp_runner(runner, settings, spec) as kfp_runner,
            terminate_steps_on_error(),
        ):
            local.init(
                kfp_runner,
                pipeline_root=str(artifacts),
                enable_caching=True,
                cache_root=str(WORKSPACE / "cache"),
            )
            load_component_from_file(str(compiled))(run_name=run_id)
    except RuntimeError as error:
        # kfp.local raises it when the pipeline failed; the steps' messages say why.
        monitor.failure = monitor.failure or Failure(None, 1, str(error))
    except OSError as error:
        place = error.filename or f"{path} or standard output"
        reason = f"{place}: {error.strerror or error}"
        monitor.failure = monitor.failure or Failure(None, 1, reason)
    return monitor


def _compile(environment: str, settings: RunSettings, path: Path) -> dict[str, Any]:
    """Compile the pipeline, so that no step is tried again; return it.

    KFP would also start a step anew that ended with the run, and wait for it.
    """
    from emotion_ai.pipeline.compiler import compile_pipeline

    once = load_environment(environment).compile.model_copy(update={"retries": 0})
    compile_pipeline(once, settings, path)
    spec: dict[str, Any] = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return spec


@contextlib.contextmanager
def _silent_when_interrupted(monitor: RunMonitor) -> Iterator[None]:
    """Tell of no step any more once a signal ends the run: that they end with it is no failure."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        monitor.silence()
        handlers[signal.Signals(number)](number, frame)  # type: ignore[operator,misc]

    # One that is ignored ends nothing.
    heard = [number for number, handler in handlers.items() if callable(handler)]
    for number in heard:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, handlers[number])


def _kfp_runner(name: str, settings: RunSettings, spec: dict[str, Any]) -> Any:
    """Return a context manager that yields KFP's runner of this name."""
    if name == "docker":
        from emotion_ai.pipeline.local.containers import step_containers

        executors = spec["deploymentSpec"]["executors"].values()
        return step_containers(settings, [executor["container"] for executor in executors])
    from kfp import local

    return contextlib.nullcontext(local.SubprocessRunner(use_venv=False))
