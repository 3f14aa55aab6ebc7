"""TensorFlow as the server needs it: without Keras."""

import sys


def import_tensorflow() -> None:
    """Import TensorFlow alone; does nothing where it is imported already.

    TensorFlow imports Keras at its end and goes on without it where there is none. Keras, with
    scikit-learn, pandas and matplotlib behind it, takes as long as all the rest.
    """
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        return
    # What stands for a module that cannot be imported.
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        import tensorflow  # noqa: F401
    finally:
        del sys.modules["keras"]
