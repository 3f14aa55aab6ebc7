"""Somebody who keeps listing and verifying a registry while others write to it and die."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def watched(registry: str) -> Iterator[dict[str, Any]]:
    """Watch in a process of its own; the dict is filled when the block is left.

    "verified" counts the releases looked at, "troubles" names those that were there and not whole.
    """
    found: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, __file__, registry],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield found
        found |= json.loads(process.communicate("stop\n", timeout=60)[0])


def _watch(registry: str) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    verified, troubles = 0, []
    while not stop.wait(0.002):
        looked, trouble = _look(registry)
        verified += looked
        troubles += trouble
    print(json.dumps({"verified": verified, "troubles": troubles}))


def _look(registry: str) -> tuple[int, list[str]]:
    from emotion_ai.errors import InputError, Unavailable
    from emotion_ai.registry.releases import is_complete, list_versions, verify_release

    verified, troubles = 0, []
    try:
        for version in list_versions(registry):
            try:
                verify_release(registry, version)
                verified += 1
            except InputError as failure:
                # Retention may remove a release that is being read; it has to be gone then.
                if is_complete(registry, version):
                    troubles.append(str(failure))
    except (InputError, Unavailable) as failure:
        troubles.append(str(failure))
    return verified, troubles


if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))
    _watch(sys.argv[1])
