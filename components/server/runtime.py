"""Imports TensorFlow for the server: late, and without Keras."""

import gc
import importlib.util
import logging
import os
import sys
import time
from typing import Any

from emotion_ai.errors import InputError, install_hint
from emotion_ai.server.flags import ServerFlags

_log = logging.getLogger(__name__)


class LazyLoader:
    """Loads versions; imports TensorFlow when it is called first."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._load: Any = None

    def __call__(self, base_path: str, version: int) -> Any:
        """Load `<base_path>/<version>`; see `ModelLoader`."""
        if self._load is None:
            # TensorFlow's messages about the processor would bury the log.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
            started = time.monotonic()
            import_tensorflow()
            from emotion_ai.server.model import ModelLoader

            _log.info("TensorFlow is imported: %.1f s", time.monotonic() - started)
            self._load = ModelLoader(self._flags)
            # The imported modules stay: spare the garbage collector from traversing them.
            gc.freeze()
        return self._load(base_path, version)


def check_tensorflow() -> None:
    """Raise `InputError` where TensorFlow is not installed, without importing it."""
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "the model server needs package tensorflow, which is not installed: "
            f"{install_hint('serve')}"
        )


def import_tensorflow() -> None:
    """Import TensorFlow without Keras, unless either is imported already.

    TensorFlow's last import is Keras, and it works without it. Keras, with scikit-learn, pandas
    and matplotlib behind it, takes as long as all the rest.
    """
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        return
    # None marks a module that cannot be imported.
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        import tensorflow  # noqa: F401
    finally:
        del sys.modules["keras"]
