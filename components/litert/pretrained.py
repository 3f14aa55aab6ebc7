"""The pretrained networks as a `model.tflite`, with 8-bit weights; `make ship` writes it."""

from pathlib import Path

PRETRAINED = Path(__file__).with_suffix(".tflite")
