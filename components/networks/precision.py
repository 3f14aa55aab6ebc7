"""What a network computes in while it is trained."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

_PROCESSOR = Path("/proc/cpuinfo")


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers built inside compute in float32 or bfloat16, or in what suits the machine ("auto").

    Weights, losses and the last layers stay float32 (mixed precision, arXiv:1905.12322).
    """
    reduced = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16())
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if reduced else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _multiplies_bfloat16() -> bool:
    """Whether bfloat16 is native here; where it is not, it is many times slower than float32."""
    if keras.distribution.list_devices("gpu"):
        return True
    if not _PROCESSOR.exists():
        return False
    flags = set(_PROCESSOR.read_text().split())
    return bool(flags & {"avx512_bf16", "amx_bf16"})
