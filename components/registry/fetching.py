"""Fetch a release into a pod: what its init container does before the model server starts.

The environment names the registry, REGISTRY (a folder or a gs:// URI), and the release, RELEASE.
Without RELEASE it is the champion, which is waited for. A step that was killed can be repeated; a
release that is there already is verified, and needs no registry then.

Example:
    $ REGISTRY=gs://models RELEASE=7 python -m emotion_ai.registry.fetching --into /models
    release 7 is in /models/emotion_ai/7: 15,201,334 bytes, verified in 1.2 s
    $ tensorflow_model_server --model_config_file=/models/models.config
"""

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from emotion_ai import storage
from emotion_ai.errors import EmotionAIError, InputError, Unavailable, exit_on_failure, one_line
from emotion_ai.registry.champion import CONFIG_NAME, read_champion, write_config
from emotion_ai.registry.copying import place_copy, remove_leftovers, remove_others
from emotion_ai.registry.releases import is_version
from emotion_ai.serving_api.messages import MODEL_NAME

# A pod's volume of 1 GiB has room for two: another release stays until this one is complete.
MAX_BYTES = 480 << 20
# How long a registry that fails is tried again; for ever where the step waits for a champion.
_MAX_TRY_SECONDS = 60.0
_POLL_SECONDS = 5.0
_REPEAT_SECONDS = 60.0
# The kubelet keeps 4,096 bytes.
_MAX_MESSAGE = 1000


class Fetched(NamedTuple):
    """The result, as the container's termination message tells it."""

    release: int
    content_digest: str
    bytes: int
    seconds: float


def fetch(registry: str, release: str, into: Path) -> Fetched:
    """Put a verified release, and a models.config that serves it, into a folder.

    Args:
        registry: A local folder or a gs:// URI.
        release: The release's number; "" for the champion, once there is one.
        into: The folder. The release will be `emotion_ai/<number>` in it; other numbers there are
            removed.

    Returns:
        What is there now.

    Raises:
        InputError: `release` is no number, there is no such release, or it is too large.
        VerificationError: A file of the release was altered.
        Unavailable: The registry cannot be read, or the folder cannot be written.
    """
    if release and not is_version(release):
        raise InputError(f"RELEASE={release}: expected the number of a release, 1 or more")
    with storage.translate_errors(str(into)):
        models = into / MODEL_NAME
        models.mkdir(parents=True, exist_ok=True)
        remove_leftovers(models)
        fetched = _fetch_when_possible(registry, int(release or 0), models)
        write_config(str(into / CONFIG_NAME), str(models.resolve()), fetched.release)
        remove_others(models, fetched.release)
    return fetched


def _fetch_when_possible(registry: str, release: int, models: Path) -> Fetched:
    """Fetch a release, 0 for the champion, as soon as there is one and the registry answers."""
    give_up_at = time.monotonic() + _MAX_TRY_SECONDS
    said, said_at = "", 0.0
    while True:
        started = time.monotonic()
        try:
            if version := release or read_champion(registry):
                info = place_copy(registry, version, models, MAX_BYTES)
                size = sum(file.size for file in info.files.values())
                seconds = round(time.monotonic() - started, 3)
                return Fetched(version, info.content_digest, size, seconds)
            line = f"waiting for the first rollout: no {CONFIG_NAME} in {registry} yet"
        # The registry's errors alone; those of the folder pass through as the system's own.
        except Unavailable as failure:
            if release and time.monotonic() > give_up_at:
                raise
            line = f"{one_line(failure)}; trying again"
        if line != said or time.monotonic() - said_at >= _REPEAT_SECONDS:
            said, said_at = line, time.monotonic()
            sys.stderr.write(f"{line}\n")
        time.sleep(_POLL_SECONDS)


def main() -> None:
    """Fetch what the environment names; the outcome becomes the termination message."""
    parser = argparse.ArgumentParser(prog="python -m emotion_ai.registry.fetching")
    parser.add_argument("--into", required=True, help="folder for the release and models.config")
    parser.add_argument("--termination-log", type=Path, default="/dev/termination-log")
    arguments = parser.parse_args()
    registry, release = os.environ.get("REGISTRY", ""), os.environ.get("RELEASE", "")
    with exit_on_failure():
        try:
            if not registry:
                raise InputError("REGISTRY is not set; expected a folder or gs:// URI of releases")
            fetched = fetch(registry, release, storage.local_path(arguments.into))
        except EmotionAIError as failure:
            _leave_message(arguments.termination_log, one_line(failure))
            raise
    _leave_message(arguments.termination_log, json.dumps(fetched._asdict()))
    sys.stdout.write(
        f"release {fetched.release} is in {arguments.into}/{MODEL_NAME}/{fetched.release}: "
        f"{fetched.bytes:,} bytes, verified in {fetched.seconds:.1f} s\n"
    )


def _leave_message(path: Path, message: str) -> None:
    """Write the container's termination message; outside a pod there is no such file."""
    with contextlib.suppress(OSError), path.open("r+", encoding="utf-8") as file:
        file.truncate()
        file.write(message[:_MAX_MESSAGE])


if __name__ == "__main__":
    main()
