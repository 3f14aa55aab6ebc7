"""The packages of `emotion_ai`: the folder components/ is its root, pipeline/ a part of it."""

from setuptools import find_packages, setup

setup(
    packages=[
        "emotion_ai",
        *(f"emotion_ai.{name}" for name in find_packages("components")),
        "emotion_ai.pipeline",
        *(f"emotion_ai.pipeline.{name}" for name in find_packages("pipeline")),
    ]
)
