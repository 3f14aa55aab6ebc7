"""Threads for TensorFlow sessions: small batches do not wait for operations of large ones."""

from typing import Any

import tensorflow as tf

from emotion_ai.processors import available_cores
from emotion_ai.server.batch_policy import MAX_SHARED_BATCH_SIZE
from emotion_ai.server.flags import ServerFlags

# Each pool is shared by all sessions.
_POOLS = ("small batches", "large batches")
_LARGE = 1
# Instead of a pool's number.
_CALLERS_THREAD = -1


def session_config(flags: ServerFlags) -> Any:
    """Return the `ConfigProto` for the flags."""
    session_threads = flags.tensorflow_session_parallelism
    # As many batches run at once as there are cores, so an op needs one thread. With two ops
    # at once, both networks run a single face in parallel. On a single core, a negative number
    # runs every op in the caller's thread and wakes no other.
    default_inter_op = 2 if available_cores() > 1 else -1
    intra_op = flags.tensorflow_intra_op_parallelism or session_threads or 1
    inter_op = flags.tensorflow_inter_op_parallelism or session_threads or default_inter_op
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=intra_op, inter_op_parallelism_threads=inter_op
    )
    if inter_op > 0:
        for name in _POOLS:
            config.session_inter_op_thread_pool.add(num_threads=inter_op, global_name=name)
    return config


def run_options(config: Any, rows: int) -> Any | None:
    """Return the `RunOptions` for a batch of this many rows; None for the default."""
    if rows <= MAX_SHARED_BATCH_SIZE:
        return None
    has_pools = bool(config.session_inter_op_thread_pool)
    return tf.compat.v1.RunOptions(inter_op_thread_pool=_LARGE if has_pools else _CALLERS_THREAD)
