"""A process that keeps listing and verifying a registry while writers to it are killed."""

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
def monitored(registry: str) -> Iterator[dict[str, Any]]:
    """Monitor the registry from another process; the dict is filled at the end of the block.

    "verified" counts the verifications, "errors" lists the releases that were incomplete.
    """
    result: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, __file__, registry],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield result
        result |= json.loads(process.communicate("stop\n", timeout=60)[0])


def _monitor(registry: str) -> None:
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    verified, errors = 0, []
    while not stop.wait(0.002):
        new_verified, new_errors = _verify_all(registry)
        verified += new_verified
        errors += new_errors
    print(json.dumps({"verified": verified, "errors": errors}))


def _verify_all(registry: str) -> tuple[int, list[str]]:
    from emotion_ai.errors import EmotionAIError, InputError, VerificationError
    from emotion_ai.registry.releases import is_complete, list_versions, verify_release

    verified, errors = 0, []
    try:
        for version in list_versions(registry):
            try:
                verify_release(registry, version)
                verified += 1
            except (InputError, VerificationError) as error:
                # Retention may remove a release while it is read; then it must no longer exist.
                if is_complete(registry, version):
                    errors.append(str(error))
    except EmotionAIError as error:
        errors.append(str(error))
    return verified, errors


if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))
    _monitor(sys.argv[1])
