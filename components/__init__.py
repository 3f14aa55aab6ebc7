"""Emotion-AI: train, gate, release and serve models of facial keypoints and expressions.

The public names below need no TensorFlow: predictions in this process, the client of a server, and
the exceptions:

    EmotionAIError
    ├── InputError           invalid data, settings or arguments; exit code 2
    │   └── storage.NotFound     no file at this address
    ├── Unavailable          a server, file system or bucket failed; exit code 1
    └── VerificationError    a digest, parity or golden answer differs; exit code 1

Example:
    from emotion_ai import analyze

    for face in analyze("party.jpg"):
        print(face.emotion, face.box)
"""

from typing import TYPE_CHECKING

__all__ = [
    "Analyzer",
    "AsyncClient",
    "Box",
    "Client",
    "Detector",
    "EmotionAIError",
    "Face",
    "InputError",
    "ModelResponse",
    "Pose",
    "Prediction",
    "Tls",
    "Tracker",
    "Unavailable",
    "VerificationError",
    "VersionStatus",
    "analyze",
    "open_detector",
]

if TYPE_CHECKING:
    from emotion_ai.client.analyzer import Analyzer, analyze
    from emotion_ai.client.async_client import AsyncClient
    from emotion_ai.client.channel import Tls
    from emotion_ai.client.client import Client
    from emotion_ai.client.detectors import Detector, open_detector
    from emotion_ai.client.results import Box, Face, ModelResponse, Prediction, VersionStatus
    from emotion_ai.client.tracking import Tracker
    from emotion_ai.errors import EmotionAIError, InputError, Unavailable, VerificationError
    from emotion_ai.faces.head_pose import Pose
else:
    # Every module of the package imports this one, so names are imported when they are first used.
    _MODULES = {
        "Analyzer": "client.analyzer",
        "AsyncClient": "client.async_client",
        "Box": "client.results",
        "Client": "client.client",
        "Detector": "client.detectors",
        "EmotionAIError": "errors",
        "Face": "client.results",
        "InputError": "errors",
        "ModelResponse": "client.results",
        "Pose": "faces.head_pose",
        "Prediction": "client.results",
        "Tls": "client.channel",
        "Tracker": "client.tracking",
        "Unavailable": "errors",
        "VerificationError": "errors",
        "VersionStatus": "client.results",
        "analyze": "client.analyzer",
        "open_detector": "client.detectors",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
