"""The machine a network is trained on, and the precision that suits it."""

import contextlib
import platform
from collections.abc import Iterator
from pathlib import Path

import keras

from emotion_ai.processors import available_cores

_CPU_INFO = Path("/proc/cpuinfo")


def machine_name() -> str:
    """Describe the processor or the accelerators, for a training's history.

    Example:
        >>> machine_name()
        '2 cores of Intel(R) Xeon(R) Processor'
    """
    accelerators = _accelerators()
    if accelerators:
        return ", ".join(accelerators)
    names = [
        line.partition(":")[2].strip()
        for line in (_CPU_INFO.read_text() if _CPU_INFO.exists() else "").splitlines()
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{available_cores()} cores of {name}"


@contextlib.contextmanager
def mixed_precision(precision: str) -> Iterator[None]:
    """Set the precision in which layers built in this context compute.

    Weights, losses and the last layers stay float32 (mixed precision, arXiv:1905.12322).

    Args:
        precision: "float32", "bfloat16", or "auto": bfloat16 where the machine supports it.
    """
    reduced = precision == "bfloat16" or (precision == "auto" and _supports_bfloat16())
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if reduced else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _accelerators() -> list[str]:
    # List all devices and filter: JAX raises if queried for a type of device that is absent.
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def _supports_bfloat16() -> bool:
    """Return whether bfloat16 is native; emulated, it is many times slower than float32."""
    if _accelerators():
        return True
    if not _CPU_INFO.exists():
        return False
    flags = set(_CPU_INFO.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16"})
