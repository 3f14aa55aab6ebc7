"""Whatever the configuration says, it is followed again once it is put right."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.registry.champion import write_champion
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.batching import Batcher, Task
from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.configuration import ConfigSource
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import Health
from emotion_ai.server.versions import VersionManager

from support.server_calls import eventually


@contextlib.contextmanager
def _following(registry: Path, load: Callable[[str, int], Any]) -> Iterator[VersionManager[Any]]:
    """Follow a registry on a thread; "loads" versions by a function."""
    manager: VersionManager[Any] = VersionManager(load)
    flags = ServerFlags(
        registry=str(registry),
        model_config_file_poll_wait_seconds=0.02,
        file_system_poll_wait_seconds=0.02,
    )
    loop, stop = asyncio.new_event_loop(), threading.Event()

    async def health() -> Health:
        return Health()

    poller = ConfigPoller(ConfigSource(flags), flags, manager, loop.run_until_complete(health()))
    thread = threading.Thread(target=poller.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield manager
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join(60)
        loop.close()


def _states(manager: VersionManager[Any]) -> dict[int, str]:
    return {s.version: s.state.name for s in manager.statuses("emotion_ai")}


def _config(base_path: str, policy: str = "") -> str:
    return (
        'model_config_list { config { name: "emotion_ai" model_platform: "tensorflow" '
        f'base_path: "{base_path}" {policy} }} }}'
    )


IMPOSSIBLE = {
    "no text": "\0\1\2",
    "no bucket of such a name": _config("gs://-x-/releases"),
    "no bucket": _config("gs:///x"),
    "a zero in a URI": _config("file:///tmp/%00"),
    "a zero in a path": _config(r"/tmp/\000x"),
    "another scheme": _config("s3://x/y"),
    "a path that no system takes": _config("/" + "a" * 5000),
    "a label of no version": _config("/m", 'version_labels { key: "a" value: 9 }'),
    "deep nesting": "model_config_list { " * 3000,
}


@pytest.mark.parametrize("config", IMPOSSIBLE)
def test_impossible_configuration_is_followed_again(
    tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    write_champion(str(tmp_path), 1)
    with _following(tmp_path, lambda base_path, version: object()) as manager:
        eventually(lambda: manager.is_ready())
        (tmp_path / "models.config").write_text(IMPOSSIBLE[config])
        eventually(lambda: "serving goes on as before" in caplog.text)
        assert _states(manager) == {1: "AVAILABLE"}
        write_champion(str(tmp_path), 2)
        eventually(lambda: manager.is_ready() and 2 in _states(manager))
    assert "Traceback" not in caplog.text


def test_defect_does_not_end_the_follower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from emotion_ai.server import config_poller

    monkeypatch.setattr(config_poller, "_RETRY_S", 0.01)

    def fail(config: Any) -> Any:
        raise KeyError("a defect")

    write_champion(str(tmp_path), 1)
    with _following(tmp_path, lambda base_path, version: object()) as manager:
        eventually(lambda: manager.is_ready())
        with monkeypatch.context() as broken:
            broken.setattr(config_poller, "plan_models", fail)
            write_champion(str(tmp_path), 2)
            eventually(lambda: "a defect" in caplog.text)
            assert _states(manager) == {1: "AVAILABLE"}
        eventually(lambda: _states(manager).get(2) == "AVAILABLE")


def test_defect_does_not_end_a_batch_thread(caplog: pytest.LogCaptureFixture) -> None:
    import numpy as np

    done = threading.Semaphore(0)
    calls: list[int] = []

    def on_done(tasks: list[Task]) -> None:
        calls.append(len(tasks))
        done.release()
        if len(calls) == 1:
            raise KeyError("a defect")

    batcher = Batcher(BatchPolicy(4, 0.0, 10, 1), on_done)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            task = Task({"x": np.zeros((1, 1))}, 1, None)
            batcher.submit("key", lambda inputs: inputs, task)
            assert done.acquire(timeout=60)
    assert calls == [1, 1]
    assert "a defect" in caplog.text


def test_empty_model_folder_beside_another_is_no_defect(tmp_path: Path) -> None:
    """Its first version is loaded when it comes; the other model is served meanwhile."""
    for name in ("later", "ready/1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models.config").write_text(
        "model_config_list {"
        + "".join(
            f' config {{ name: "{name}" base_path: "{tmp_path / name}" '
            'model_platform: "tensorflow" }'
            for name in ("later", "ready")
        )
        + "}"
    )
    with _following(tmp_path, lambda base_path, version: object()) as manager:
        eventually(lambda: manager.is_available("ready"))
        assert manager.is_ready()
        (tmp_path / "later" / "3").mkdir()
        eventually(lambda: manager.is_available("later"))
