"""The machine a network is trained on, and what it computes in there."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import keras

_PROCESSOR = Path("/proc/cpuinfo")


def machine_name() -> str:
    """Processor or accelerator and how many, for the record of a training."""
    if _accelerators():
        return ", ".join(_accelerators())
    names = [
        line.partition(":")[2].strip()
        for line in (_PROCESSOR.read_text() if _PROCESSOR.exists() else "").splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores of {name}"


@contextlib.contextmanager
def mixed_precision(precision: str) -> Iterator[None]:
    """Layers built inside compute in float32 or bfloat16, or in what suits the machine ("auto").

    Weights, losses and the last layers stay float32 (mix_batch precision, arXiv:1905.12322).
    """
    reduced = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16())
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if reduced else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _accelerators() -> list[str]:
    # JAX refuses to be asked for a kind of device that is not there.
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def _multiplies_bfloat16() -> bool:
    """Whether bfloat16 is native here; where it is not, it is many times slower than float32."""
    if _accelerators():
        return True
    if not _PROCESSOR.exists():
        return False
    flags = set(_PROCESSOR.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16"})
